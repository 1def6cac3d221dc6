/**
 * Lays out the npm package in dist/: compiled code, because Node runs no TypeScript below node_modules, and the agent's
 * finished build context, with the licences of what is in it and an SBOM. It has a package.json of its own, so that a checkout never runs a stale build by accident.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundleAgent, bundledFiles } from "../common/agentContext.ts";
import { billOfMaterials, licencesPage, thirdPartyPackages } from "./thirdParty.ts";

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");

rmSync(dist, { recursive: true, force: true });
execFileSync(
  join(root, "node_modules/.bin/tsc"),
  ["--project", join(root, "tsconfig.build.json")],
  {
    stdio: "inherit",
  },
);
await bundleAgent(join(dist, "agent/context"));

const {
  scripts: _,
  devDependencies: __,
  ...manifest
} = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const compiled = JSON.parse(JSON.stringify(manifest).replaceAll(/(\.\/[\w/*]+)\.ts"/g, '$1.js"'));
/** For `moduleResolution: node`, which knows no `exports`: that of Pulumi's template until March 2026. */
const olderResolution = {
  main: compiled.exports["."],
  types: declarationsOf(compiled.exports["."]),
  typesVersions: { "*": { scaleway: [declarationsOf(compiled.exports["./scaleway"])] } },
};
writeFileSync(
  join(dist, "package.json"),
  `${JSON.stringify({ ...compiled, ...olderResolution }, null, 2)}\n`,
);
for (const file of ["README.md", "LICENSE", "common/contracts/manifest.schema.json"])
  cpSync(join(root, file), join(dist, file));
const others = thirdPartyPackages(root, await bundledFiles());
writeFileSync(join(dist, "THIRD-PARTY-LICENSES.txt"), licencesPage(root, others));
writeFileSync(
  join(dist, "sbom.cdx.json"),
  `${JSON.stringify(billOfMaterials(root, others), null, 2)}\n`,
);
chmodSync(join(dist, "cli/start.mjs"), 0o755);

function declarationsOf(module: string): string {
  return module.replace(/\.js$/, ".d.ts");
}

console.log(`dist/ is ready: npm publish dist`);
