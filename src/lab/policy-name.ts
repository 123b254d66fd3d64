// The names of policies in reports, which are also how the command takes them.

/** Returns a policy's name with its options, such as go:version=1.22,gogc=50. Those that are undefined are left out. */
export function policyName(name: string, options: object): string {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return given.length > 0 ? `${name}:${given.map(([key, value]) => `${key}=${value}`).join(",")}` : name;
}
