/** The SDK's timestamps are Dates; records keep ms since the epoch. */
export function dateOf(ms: number): Date {
  return new Date(ms);
}

/** `{[name]: Date}` when there is a time, else nothing: for members that AWS leaves out. */
export function dateMember<Name extends string>(name: Name, ms: number | undefined): { [key in Name]?: Date } {
  return ms === undefined ? {} : ({ [name]: dateOf(ms) } as { [key in Name]?: Date });
}
