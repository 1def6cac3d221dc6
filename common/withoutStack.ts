import { Problem } from "./problem.ts";

/** A Problem without its stack, which Pulumi's host of dynamic resources would print below the sentence. */
export function said(message: string): Problem {
  const problem = new Problem(message);
  problem.stack = "";
  return problem;
}
