/**
 * As `Promise.all`, but a failure is thrown only once the others have ended too: what one of them still makes would come after all of it was
 * taken away.
 */
export async function allEnded<T extends readonly unknown[]>(steps: T): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(steps);
  return await Promise.all(steps);
}
