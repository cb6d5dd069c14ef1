/** The largest length of at most `maxBytes` at which `bytes` can be cut without cutting a UTF-8 character; at least 1. */
export function cutLength(bytes: Buffer, maxBytes: number): number {
  if (bytes.length <= maxBytes) return bytes.length;
  for (let length = maxBytes; length > Math.max(0, maxBytes - 4); length--) {
    // A byte 10xxxxxx goes on with the character before it.
    if (((bytes[length] ?? 0) & 0xc0) !== 0x80) return length;
  }
  return maxBytes;
}
