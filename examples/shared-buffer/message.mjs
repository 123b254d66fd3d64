// What producers and the consumer know: what the messages are.

/** The text of a message. No two are alike, and their lengths differ. */
export function textOf(producer, i) {
  return `message ${i} of producer ${producer + 1} `.repeat(1 + ((i * 31) % 40));
}
