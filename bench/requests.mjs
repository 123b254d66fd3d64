// Requests to a worker, of Node or of a page. Requests and answers are messages. A number says which belong together.

/**
 * The side that asks. `send` posts a message. `onMessage` takes the function to call with each message that comes back.
 * Returns a function from a request to a promise of its answer.
 */
export function askWith(send, onMessage) {
  const waiting = new Map();
  let latest = 0;
  onMessage(({ number, answer, error }) => {
    const { resolve, reject } = waiting.get(number);
    waiting.delete(number);
    if (error) reject(new Error(error));
    else resolve(answer);
  });
  return (request) =>
    new Promise((resolve, reject) => {
      latest++;
      waiting.set(latest, { resolve, reject });
      send({ number: latest, request });
    });
}

/** Returns an error's message and stack. In Firefox and Safari, the stack does not begin with the message. */
export function errorText(error) {
  const stack = error.stack ?? "";
  return stack.includes(error.message) ? stack : `${error}\n${stack}`;
}

/**
 * The side that answers. Returns a function that takes a message. `answerTo(request)` returns the answer, or a promise
 * of it, and `post` sends it. `name` stands in front of the errors.
 */
export function answerWith(name, answerTo, post) {
  return async ({ number, request }) => {
    try {
      post({ number, answer: await answerTo(request) });
    } catch (error) {
      post({ number, error: `${name}: ${errorText(error)}` });
    }
  };
}
