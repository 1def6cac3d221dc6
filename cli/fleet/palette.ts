/** Colours of the page, `#rrggbb`. A test computes their contrast. */
export interface Palette {
  readonly paper: string;
  readonly ink: string;
  /** Less important text. */
  readonly faint: string;
  /** Lines and the ground of tables. */
  readonly line: string;
  readonly good: string;
  readonly bad: string;
  readonly uncertain: string;
  /** Bars and marks of a chart. */
  readonly mark: string;
}

export const LIGHT: Palette = {
  paper: "#ffffff",
  ink: "#1b1f24",
  faint: "#57606a",
  line: "#d0d7de",
  good: "#116329",
  bad: "#a40e26",
  uncertain: "#7d4e00",
  mark: "#0550ae",
};

export const DARK: Palette = {
  paper: "#0d1117",
  ink: "#e6edf3",
  faint: "#9ea7b3",
  line: "#30363d",
  good: "#56d364",
  bad: "#ff7b72",
  uncertain: "#e3b341",
  mark: "#79c0ff",
};

/** As properties of CSS, `--ink: #1b1f24`. */
export function propertiesOf(palette: Palette): string {
  return Object.entries(palette)
    .map(([name, colour]) => `--${name}: ${colour};`)
    .join(" ");
}
