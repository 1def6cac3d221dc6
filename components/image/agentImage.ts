import { join, relative } from "node:path";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { agentContext } from "../../common/agentContext.ts";
import { type Transform, transformed } from "../pulumi/transform.ts";

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
   * Processor of the hosts that run it.
   * @default that of the machine where Pulumi runs
   * @example "linux/amd64"
   */
  readonly platform?: pulumi.Input<string>;
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
    const context = pulumi.output(agentContext()).apply(({ dir, digest }) => ({
      // Relative to the program's folder, so that it reads the same on every machine.
      dir: relative(process.cwd(), dir),
      digest: digest.slice(0, 12),
    }));

    this.image = new docker.Image(
      `${name}-image`,
      transformed(args.transform?.image, {
        imageName: pulumi.interpolate`${args.repository}:pg${args.postgresMajor}-${context.digest}`,
        build: {
          context: context.dir,
          dockerfile: context.dir.apply((dir) => join(dir, "Dockerfile")),
          ...(args.platform !== undefined && { platform: args.platform }),
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
