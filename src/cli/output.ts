import { styleText } from "node:util";

export type Style = "bold" | "dim" | "green" | "red" | "yellow" | "cyan";

/** What commands print. Colours only on a terminal (and never with NO_COLOR). */
export interface Output {
  /** Whether progress can be drawn. */
  readonly terminal: boolean;
  line(text?: string): void;
  /** To stderr: progress and warnings, so that stdout stays readable for scripts. */
  note(text: string): void;
  json(value: unknown): void;
  style(style: Style, text: string): string;
  table(header: readonly string[], rows: readonly (readonly string[])[]): void;
}

/** A stream that may be a terminal; `isTTY` is absent on pipes and files. */
interface Terminalish {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): boolean;
}

export function createOutput(stdout: Terminalish = process.stdout, stderr: Terminalish = process.stderr): Output {
  const colours = stdout.isTTY === true && process.env["NO_COLOR"] === undefined;
  const output: Output = {
    // One that says no width (0) cannot be drawn on.
    terminal: stdout.isTTY === true && (stdout.columns ?? 0) > 0,
    line: (text = "") => void stdout.write(`${text}\n`),
    note: (text) => void stderr.write(`${text}\n`),
    json: (value) => void stdout.write(`${JSON.stringify(value, null, 2)}\n`),
    style: (style, text) => (colours ? styleText(style, text, { validateStream: false }) : text),
    table: (header, rows) => {
      for (const [index, line] of tableLines(header, rows).entries()) output.line(index === 0 ? output.style("bold", line) : line);
    },
  };
  return output;
}

/** Columns as wide as their widest cell, two spaces apart. Pure. */
export function tableLines(header: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

/** `3 s ago`, `5 min ago`, `2 h ago`, `4 d ago`. Pure. */
export function ago(fromMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - fromMs) / 1000));
  if (seconds < 90) return `${seconds} s ago`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 36 * 3600 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86_400)} d ago`;
}
