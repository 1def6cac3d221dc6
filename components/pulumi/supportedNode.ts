import { nodeProblem } from "../../common/nodeVersion.mjs";
import { problemWithoutStack } from "../../common/problem.ts";

const problem = nodeProblem(process.versions.node);
if (problem !== undefined) throw problemWithoutStack(problem);
