const MAXIMUM_TAGS = 50;

type Tags = Readonly<Record<string, string>>;

/** What is wrong with a set of tags; `undefined` when nothing is. */
export function faultOfTags(tags: Tags): string | undefined {
  const reserved = Object.keys(tags).find((key) => /^aws:/i.test(key));
  if (reserved !== undefined) return `Tag key '${reserved}' is not valid: keys that begin with aws: are reserved for system use`;
  return Object.keys(tags).length > MAXIMUM_TAGS ? `A resource can have at most ${MAXIMUM_TAGS} tags` : undefined;
}
