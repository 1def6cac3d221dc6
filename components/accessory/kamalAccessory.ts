import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { SshHop } from "../../common/contracts/stackOutputs.ts";
import { type Accessory, DIGEST_LABEL } from "../../kamal/accessory.ts";
import { bootCommand, bootInput, removeScript } from "../../kamal/bootScript.ts";
import { accessoryDigest } from "../../kamal/digest.ts";
import { dockerRunCommand, envFilePath, renderEnvFile } from "../../kamal/dockerRun.ts";
import { renderAccessoryBlock } from "../../kamal/renderBlock.ts";
import { renderSecretsBlock } from "../../kamal/secrets.ts";
import type { AccessoryNames } from "../backup/accessory.ts";
import { sha256 } from "../internal/accessoryState.ts";
import { withDynamicProvider } from "../pulumi/dynamicPackage.ts";
import { explainedApply } from "../pulumi/resourceError.ts";
import { type Transform, transformed } from "../pulumi/transform.ts";
import { AccessoryState, RenderedBlock, SecretsBlock } from "./hostResources.ts";
import { showRenderedDiff } from "./renderPreview.ts";
import { type SshAccess, toCommandConnection, toSshTarget } from "./sshConnection.ts";

export interface KamalAccessoryArgs {
  /** Its names, known at preview when the rest of it may not be. */
  readonly names: AccessoryNames;
  /** The accessory without our digest label. Every view of it (block, env file, `docker run`) is made from this value. */
  readonly accessory: pulumi.Input<Accessory>;
  /** Value of each of its secrets by the name in the container. */
  readonly secrets: pulumi.Input<Record<string, string>>;
  /** Entries for Kamal's secrets file: those secrets that Kamal does not have yet, by their name there. */
  readonly kamalSecrets: pulumi.Input<Record<string, string>>;
  /** The deploy.yml that gets the block, from the program's folder. */
  readonly deployFile: string;
  readonly secretsFile: string;
  readonly access: SshAccess;
  /** Seconds for which a refused access key is tried again at boot. @default 0 */
  readonly patience?: number;
  /** Login with which the hosts pull the image. @default none */
  readonly registry?: {
    readonly server: string;
    readonly username: string;
    readonly password: pulumi.Input<string>;
  };
  readonly transform?: { readonly boot?: Transform<command.remote.CommandArgs> };
}

/**
 * An accessory of a Kamal application: rendered into deploy.yml and the secrets file, booted on each host as Kamal itself
 * would boot it, and watched from then on.
 */
export class KamalAccessory extends pulumi.ComponentResource {
  readonly block: RenderedBlock;
  readonly secretsBlock: SecretsBlock;
  readonly boots: readonly command.remote.Command[];
  readonly states: readonly AccessoryState[];

  /** The block of deploy.yml as rendered. */
  readonly rendered: pulumi.Output<string>;

  constructor(name: string, args: KamalAccessoryArgs, opts?: pulumi.ComponentResourceOptions) {
    super("kamal-postgres-backup:index:KamalAccessory", name, {}, withDynamicProvider(opts));
    const secrets = pulumi.secret(args.secrets);
    const accessory = labelled(pulumi.output(args.accessory), secrets);

    this.rendered = explainedApply(this, accessory, (a) => renderAccessoryBlock(a));
    showRenderedDiff(this, args.deployFile, name, this.rendered);
    this.block = new RenderedBlock(
      `${name}-block`,
      {
        file: args.deployFile,
        name,
        under: "accessories",
        key: args.names.key,
        block: this.rendered,
        confidential: false,
      },
      { parent: this },
    );
    this.secretsBlock = new SecretsBlock(
      `${name}-secrets`,
      {
        file: args.secretsFile,
        name,
        under: "",
        key: "",
        block: explainedApply(this, pulumi.output(args.kamalSecrets), renderSecretsBlock),
        confidential: true,
      },
      { parent: this },
    );

    const boots: command.remote.Command[] = [];
    const states: AccessoryState[] = [];
    for (const host of args.access.hosts) {
      const stdin = bootInputFor(this, host, accessory, secrets, args);
      const removal = removeScript(args.names.container, envFilePath(args.names));
      const boot = new command.remote.Command(
        `${name}-boot-${host.host}`,
        transformed<command.remote.CommandArgs>(args.transform?.boot, {
          connection: toCommandConnection(args.access, host),
          create: bootCommand,
          update: bootCommand,
          delete: removal,
          stdin,
          addPreviousOutputInEnv: false,
          logging: "none",
        }),
        {
          parent: this,
          dependsOn: [this.block, this.secretsBlock],
          additionalSecretOutputs: ["stdout", "stderr"],
          deleteBeforeReplace: true,
        },
      );
      boots.push(boot);
      states.push(
        new AccessoryState(
          `${name}-state-${host.host}`,
          {
            status: "running",
            container: args.names.container,
            image: accessory.image,
            digest: accessory.apply((a) => a.labels[DIGEST_LABEL] ?? ""),
            envDigest: pulumi.unsecret(secrets.apply((s) => sha256(renderEnvFile(s)))),
            envFile: envFilePath(args.names),
            target: toSshTarget(args.access, host),
            bootInput: stdin,
          },
          { parent: this, dependsOn: [boot] },
        ),
      );
    }
    this.boots = boots;
    this.states = states;
    this.registerOutputs({ rendered: this.rendered });
  }
}

/** The digest is keyed with the random secret key, so that it can stand in public without telling a weak password. */
function labelled(
  accessory: pulumi.Output<Accessory>,
  secrets: pulumi.Output<Record<string, string>>,
): pulumi.Output<Accessory> {
  return pulumi.unsecret(
    pulumi.all([accessory, secrets]).apply(
      ([a, s]): Accessory => ({
        ...a,
        labels: {
          ...a.labels,
          [DIGEST_LABEL]: accessoryDigest(a, s, s["S3_SECRET_ACCESS_KEY"] ?? ""),
        },
      }),
    ),
  );
}

function bootInputFor(
  resource: pulumi.Resource,
  host: SshHop,
  accessory: pulumi.Output<Accessory>,
  secrets: pulumi.Output<Record<string, string>>,
  { registry, patience }: KamalAccessoryArgs,
): pulumi.Output<string> {
  const password = pulumi.output(registry?.password ?? "");
  return pulumi.secret(
    explainedApply(resource, pulumi.all([accessory, secrets, password]), ([a, s, p]) =>
      bootInput({
        container: a.container,
        digest: a.labels[DIGEST_LABEL] ?? "",
        image: a.image,
        envFile: envFilePath(a),
        run: dockerRunCommand(a, host.host),
        registry: {
          server: registry?.server ?? "",
          username: registry?.username ?? "",
          password: p,
        },
        patience: patience ?? 0,
        env: renderEnvFile(s),
      }),
    ),
  );
}
