import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { type Accessory, DIGEST_LABEL } from "../../kamal/accessory.ts";
import { bootCommand, bootInput, removeScript } from "../../kamal/bootScript.ts";
import { accessoryDigest } from "../../kamal/digest.ts";
import { dockerRunCommand, envFilePath, renderEnvFile } from "../../kamal/dockerRun.ts";
import { renderAccessoryBlock } from "../../kamal/renderBlock.ts";
import { declaredSettings } from "../../kamal/runningContainer.ts";
import { renderSecretLookups, renderSecretsBlock } from "../../kamal/secretsFile.ts";
import { sha256 } from "../internal/accessoryState.ts";
import { withDynamicProvider } from "../pulumi/dynamicPackage.ts";
import { applyReportingProblems } from "../pulumi/resourceMessages.ts";
import { type Transform, transformed } from "../pulumi/transform.ts";
import { AccessoryState, DeployHook, RenderedBlock, SecretsBlock } from "./accessoryResources.ts";
import type { HookBlock } from "./deployGate.ts";
import { type BootByKamal, bootOf, rebootCommand } from "./driver.ts";
import { reportFirstBackup } from "./firstBackup.ts";
import { lookAtHosts } from "./hostLook.ts";
import { type AccessoryNames, isSharedFile, type RegistryLogin } from "./kamalProject.ts";
import { showRenderedDiff } from "./renderPreview.ts";
import {
  type AccessHost,
  kamalNameOf,
  type SshAccess,
  toCommandConnection,
  toSshTarget,
} from "./sshConnection.ts";

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
  /** Full name of the stack whose outputs are looked up there. @default none: the secrets themselves stand there */
  readonly lookUpIn?: string | undefined;
  readonly access: SshAccess;
  /** Seconds for which a refused access key is tried again at boot. @default 0 */
  readonly patience?: number;
  /** Login with which the hosts pull the image. @default none */
  readonly registry?: RegistryLogin;
  /** Container of another image that goes from the hosts once this one is fit. @default none */
  readonly replacesContainer?: string | undefined;
  /** Whether a new container backs up at once where the bucket has no backup. @default false: it waits for its schedule */
  readonly firstBackup?: boolean;
  /** Name of the bucket, for what is said about it. */
  readonly bucket: pulumi.Input<string>;
  /** How Kamal boots it, from here or later. @default the boot script does */
  readonly bootByKamal?: BootByKamal | undefined;
  /** What the hook before a deploy gets. @default none */
  readonly deployHook?: HookBlock | undefined;
  /** What the container needs on its hosts before it boots, and what goes after it. @default nothing */
  readonly needs?: readonly pulumi.Resource[];
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
  /** The block in the hook before a deploy; undefined without one. */
  readonly deployHook: DeployHook | undefined;

  /** The block of deploy.yml as rendered. */
  readonly rendered: pulumi.Output<string>;

  constructor(name: string, args: KamalAccessoryArgs, opts?: pulumi.ComponentResourceOptions) {
    super("kamal-postgres-backup:index:KamalAccessory", name, {}, withDynamicProvider(opts));
    const began = Date.now();
    const secrets = pulumi.secret(args.secrets);
    const accessory = labelled(pulumi.output(args.accessory), secrets);
    this.rendered = applyReportingProblems(this, accessory, (a) => renderAccessoryBlock(a));
    showRenderedDiff(this, args.deployFile, name, this.rendered);

    const site = { parent: this, name, args, accessory, secrets };
    this.block = createBlock(site, this.rendered);
    this.secretsBlock = createSecretsBlock(site);
    const { bootByKamal } = args;
    const seen = bootByKamal?.driver === "render" ? describeHosts(site, bootByKamal) : undefined;
    const started = args.access.hosts.map((host) =>
      startOn(host, site, [this.block, this.secretsBlock, ...(args.needs ?? [])]),
    );
    this.boots = started.map(({ boot }) => boot);
    this.states = started.map(({ state }) => state);
    this.deployHook = createDeployHook(site, [...this.states, ...this.boots]);
    const reported = pulumi.all(
      this.states.map(({ outcome }) => reportFirstBackup(this, outcome, { ...args, began })),
    );
    // The program ends only when what is registered is known.
    this.registerOutputs({
      rendered: this.rendered,
      ...(seen && { seen }),
      ...(args.firstBackup && { firstBackup: reported.apply(() => undefined) }),
    });
  }
}

/** What the children are made from. */
interface Site {
  readonly parent: pulumi.Resource;
  readonly name: string;
  readonly args: KamalAccessoryArgs;
  readonly accessory: pulumi.Output<Accessory>;
  readonly secrets: pulumi.Output<Record<string, string>>;
}

function createBlock({ parent, name, args }: Site, block: pulumi.Output<string>): RenderedBlock {
  return new RenderedBlock(
    `${name}-block`,
    {
      file: args.deployFile,
      name,
      under: "accessories",
      key: args.names.key,
      block,
      confidential: false,
    },
    { parent },
  );
}

function createSecretsBlock({ parent, name, args }: Site): SecretsBlock {
  const { lookUpIn } = args;
  const kamalSecrets = pulumi.output(args.kamalSecrets);
  return new SecretsBlock(
    `${name}-secrets`,
    {
      file: args.secretsFile,
      // Several stacks of one program call their backup by one name.
      name: isSharedFile(args.names, args.secretsFile) ? `${name}-${args.names.destination}` : name,
      under: "",
      key: "",
      block: applyReportingProblems(parent, kamalSecrets, (entries) =>
        lookUpIn === undefined
          ? renderSecretsBlock(entries)
          : renderSecretLookups(entries, lookUpIn),
      ),
      confidential: lookUpIn === undefined,
    },
    { parent },
  );
}

function describeHosts(
  { parent, args, accessory }: Site,
  bootByKamal: BootByKamal,
): pulumi.Output<boolean[]> {
  const { access, names } = args;
  const reboot = rebootCommand(bootByKamal, names);
  const expected = { container: names.container, reboot, ...bootByKamal.needs };
  const digest = accessory.apply(({ labels }) => labels[DIGEST_LABEL] ?? "");
  return lookAtHosts(parent, access, expected, digest);
}

/** After the container, which must know how to keep a deploy back before a deploy asks it. */
function createDeployHook(
  { parent, name, args }: Site,
  boots: readonly pulumi.Resource[],
): DeployHook | undefined {
  const { deployHook: hook } = args;
  if (hook === undefined) return undefined;
  const { destination } = args.names;
  // All destinations have one hook, and several stacks of one program call their backup by one name.
  const block = destination === undefined ? name : `${name}-${destination}`;
  const common = { name: block, under: "hook", key: "", confidential: false } as const;
  return new DeployHook(`${name}-hook`, { ...hook, ...common }, { parent, dependsOn: [...boots] });
}

/**
 * Boots the container on one host once the blocks are written and what it needs is there, and watches it. The resource that watches it comes first: it
 * reaches the host with our own client, whose sentences name the setting, and puts the declared container there. The command
 * then finds it as it should be, and is what removes it again. Its connection is the one by which the host was reached last,
 * so that a colleague's own key is no change. It knows no way through several bastions, and nothing where somebody runs Kamal later:
 * there it has nothing to do, and is kept so that a container outlives such a change.
 */
function startOn(
  host: AccessHost,
  site: Site,
  before: readonly pulumi.Resource[],
): { readonly boot: command.remote.Command; readonly state: AccessoryState } {
  const { parent, name, args, accessory, secrets } = site;
  const { access, names, bootByKamal } = args;
  const isOnly = access.hosts.length === 1;
  const kamal =
    bootByKamal &&
    bootOf(bootByKamal, names, { name: kamalNameOf(host), isOnly }, args.patience ?? 0);
  const stdin = bootInputFor(site, host);
  const removal = removeScript(names.container, envFilePath(names));
  const isFar = access.proxy?.proxy !== undefined;
  const state = new AccessoryState(
    `${name}-state-${kamalNameOf(host)}`,
    {
      status: "running",
      container: names.container,
      image: accessory.image,
      digest: accessory.apply((a) => a.labels[DIGEST_LABEL] ?? ""),
      envDigest: pulumi.unsecret(secrets.apply((s) => sha256(renderEnvFile(s)))),
      settings: pulumi.unsecret(
        pulumi.all([accessory, secrets]).apply(([a, s]) => declaredSettings(a, s)),
      ),
      secretNames: pulumi.unsecret(secrets.apply(Object.keys)),
      envFile: envFilePath(names),
      target: toSshTarget(access, host),
      bootInput: stdin,
      ...(names.destination !== undefined && { plainContainer: `${names.service}-${names.key}` }),
      ...(kamal && { kamal }),
      ...(args.replacesContainer !== undefined && { replaces: args.replacesContainer }),
      ...(args.firstBackup === true && { firstBackup: true as const }),
      ...(isFar && kamal !== "later" && { removal }),
    },
    { parent, dependsOn: [...before] },
  );
  const boot = new command.remote.Command(
    `${name}-boot-${kamalNameOf(host)}`,
    transformed<command.remote.CommandArgs>(args.transform?.boot, {
      connection: state.target.apply(toCommandConnection),
      ...(!isFar &&
        kamal !== "later" && { create: bootCommand, update: bootCommand, delete: removal, stdin }),
      addPreviousOutputInEnv: false,
      logging: "none",
    }),
    {
      parent,
      dependsOn: [state],
      additionalSecretOutputs: ["stdout", "stderr"],
      deleteBeforeReplace: true,
    },
  );
  return { boot, state };
}

/** The digest is keyed with the random secret key, so that it can stand in public without giving away a weak password. */
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
  { parent, args: { registry, patience }, accessory, secrets }: Site,
  host: AccessHost,
): pulumi.Output<string> {
  const password = pulumi.output(registry?.password ?? "");
  return pulumi.secret(
    applyReportingProblems(parent, pulumi.all([accessory, secrets, password]), ([a, s, p]) =>
      bootInput({
        container: a.container,
        digest: a.labels[DIGEST_LABEL] ?? "",
        image: a.image,
        envFile: envFilePath(a),
        run: dockerRunCommand(a, kamalNameOf(host)),
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
