// What both processes know: what the records are.
const KiB = 2 ** 10;

/** A record: its number, and then as many bytes as no neighbour has, all of them known from the number. */
export function recordOf(number) {
  const bytes = Buffer.alloc(100 + ((number * 7919) % 30_000), number % 251);
  bytes.writeUInt32LE(number);
  return bytes;
}

/** Throws unless the file has that many records, each as it was written. */
export function checkRecords(file, count) {
  const records = [...file.records()];
  if (records.length !== count) throw new Error(`the file has ${records.length} records instead of ${count}`);
  for (const record of records) {
    const bytes = file.read(record);
    const number = bytes.readUInt32LE();
    if (!bytes.equals(recordOf(number))) throw new Error(`record ${record.id} is not what was written`);
  }
}

/** Prints the sizes of the file. */
export function tell(what, file) {
  const { length, onDisk } = file.sizes();
  const [inAll, room] = [length, onDisk].map((bytes) => `${Math.ceil(bytes / KiB)} KiB`.padStart(9));
  console.log(`${what.padEnd(22)}${inAll} long, ${room} on the disk`);
}
