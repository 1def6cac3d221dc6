import { readFileSync } from "node:fs";
import { Problem } from "../../common/problem.ts";
import { fileFault } from "../terminal/format.ts";

/** The text of one of the application's files. @throws Problem that names the options which choose it */
export function readDeployFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new Problem(
      `${path} cannot be read: ${fileFault(error)}. Give the application's deploy.yml with --config, and its destination with --destination.`,
      { cause: error },
    );
  }
}
