// Stands in for Buffer in the bundles of the library, where zstddec uses it to decode its module.
export const Buffer = { from: (text) => Uint8Array.from(atob(text), (byte) => byte.charCodeAt(0)) };
