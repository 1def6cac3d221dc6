// Plain JavaScript, because an older Node reads no TypeScript.

/** The oldest Node that runs this package, as `engines` in package.json has it. */
const OLDEST = /** @type {const} */ ([22, 18]);

/**
 * Why this Node cannot run the package, in a sentence; undefined: it can.
 * @param {string} version as `process.versions.node` has it
 * @returns {string | undefined}
 */
export function nodeProblem(version) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return undefined;
  return `kamal-postgres-backup needs Node ${OLDEST.join(".")} or newer, and this is Node ${version}. Install a newer one, for instance with: nvm install 24`;
}
