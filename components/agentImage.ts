import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { type Transform, transformed } from "./transform.ts";

export interface AgentImageArgs {
  /** Repository in the registry, without a tag. @example "registry.example.com/shop-db-backup" */
  readonly repository: pulumi.Input<string>;
  /** Login of the registry. @default none: a registry that takes pushes from anyone */
  readonly registry?: {
    readonly server: pulumi.Input<string>;
    readonly username: pulumi.Input<string>;
    readonly password: pulumi.Input<string>;
  };
  /** Major version of the PostgreSQL client, that of the server. @example 17 */
  readonly postgresMajor: number;
  /**
   * Debian image with Node to build on.
   * @default the `BASE_IMAGE` of the Dockerfile
   */
  readonly baseImage?: pulumi.Input<string>;
  readonly transform?: { readonly image?: Transform<docker.ImageArgs> };
}

/** The agent's image: built from the package's own Dockerfile for the server's major version, pushed, and pinned by digest. */
export class AgentImage extends pulumi.ComponentResource {
  readonly image: docker.Image;
  /** Reference by digest, `registry.example.com/shop-db-backup@sha256:...`. */
  readonly reference: pulumi.Output<string>;

  constructor(name: string, args: AgentImageArgs, opts?: pulumi.ComponentResourceOptions) {
    super("kamal-postgres-backup:index:AgentImage", name, {}, opts);
    const context = pulumi.output(buildContext());

    this.image = new docker.Image(
      `${name}-image`,
      transformed(args.transform?.image, {
        imageName: pulumi.interpolate`${args.repository}:pg${args.postgresMajor}-${context.digest}`,
        build: {
          context: context.dir,
          dockerfile: context.dir.apply((dir) => join(dir, "Dockerfile")),
          args: {
            PG_MAJOR: String(args.postgresMajor),
            ...(args.baseImage && { BASE_IMAGE: args.baseImage }),
          },
        },
        ...(args.registry && {
          registry: { ...args.registry, password: pulumi.secret(args.registry.password) },
        }),
      }),
      { parent: this },
    );

    this.reference = this.image.repoDigest;
    this.registerOutputs({ reference: this.reference });
  }
}

interface BuildContext {
  /** Folder, relative to the program's, so that it reads the same on every machine. */
  readonly dir: string;
  readonly digest: string;
}

/** The published package carries the finished context; a checkout bundles the agent's sources, so it is never stale. */
async function buildContext(): Promise<BuildContext> {
  const packaged = fileURLToPath(new URL("../agent/context/", import.meta.url));
  const { bundleAgent, contextDigest } = await import("../agent/bundle.ts");
  if (existsSync(packaged)) {
    return {
      dir: relative(process.cwd(), packaged),
      digest: (await contextDigest(packaged)).slice(0, 12),
    };
  }
  const build = await bundleAgent(fileURLToPath(new URL("../build/agent/", import.meta.url)));
  return { dir: relative(process.cwd(), build.dir), digest: build.digest.slice(0, 12) };
}
