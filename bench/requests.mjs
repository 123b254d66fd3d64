// Asking a worker, of Node or of a page, and being asked: requests and answers are messages, told apart by a number.

/**
 * The side that asks. `send` posts a message, and `onMessage` is given what is to be called with each that comes back.
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

/**
 * The side that is asked. Returns what takes a message. `answerTo(request)` may be a promise, and `name` says who
 * failed.
 */
export function answerWith(name, answerTo, post) {
  return async ({ number, request }) => {
    try {
      post({ number, answer: await answerTo(request) });
    } catch (error) {
      post({ number, error: `${name}: ${error.stack ?? error}` });
    }
  };
}
