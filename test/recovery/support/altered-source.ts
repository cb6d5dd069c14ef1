/**
 * To be imported before a server's main module: the server then runs with lines of its source changed, so that a test can show what happens
 * without a part of it. The product has no switch for that.
 */
import { registerHooks } from "node:module";

export interface Alteration {
  /** The end of the module's path, e.g. `fargate/sweep.ts`. */
  readonly file: string;
  /** A text that is in it once. */
  readonly from: string;
  readonly to: string;
}

const alterations = JSON.parse(process.env["TIDEGATE_TEST_ALTERATIONS"] ?? "[]") as readonly Alteration[];

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const due = alterations.filter(({ file }) => url.endsWith(`/src/${file}`));
    if (due.length === 0) return loaded;
    let source = Buffer.from(loaded.source as Uint8Array).toString();
    for (const { file, from, to } of due) {
      if (source.split(from).length !== 2) throw new Error(`${file} does not have the text to be altered once: ${from}`);
      source = source.replace(from, () => to);
    }
    return { ...loaded, source };
  },
});
