import { createRequire } from "node:module";

/** The version of the real plugin that the installed `@pulumi/<name>` package asks for. */
export function pluginVersion(name: string): string {
  const manifest: { version: string; pulumi?: { version?: string } } = createRequire(
    import.meta.url,
  )(`@pulumi/${name}/package.json`);
  return manifest.pulumi?.version ?? manifest.version;
}
