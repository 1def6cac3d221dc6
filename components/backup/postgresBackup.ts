import * as pulumi from "@pulumi/pulumi";
import {
  type AgentSettings,
  toEnvironment,
} from "../../common/contracts/agentEnvironment/environment.ts";
import type { SigningSettings } from "../../common/contracts/agentEnvironment/signing.ts";
import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import type { Accessory } from "../../kamal/accessory.ts";
import { KamalAccessory } from "../accessory/kamalAccessory.ts";
import type { BackupKeys } from "../bucket/backupKeys.ts";
import { type BucketAccess, createBucketAccess } from "../bucket/bucketAccess.ts";
import { hasNewKeys } from "../bucket/resolveBucket.ts";
import { createSigningKey } from "../bucket/signingKey.ts";
import type { AgentImage } from "../image/agentImage.ts";
import type { HostAgentImage } from "../image/hostAgentImage.ts";
import { hostPlatform } from "../image/hostPlatform.ts";
import { createHostImage, createRegistryImage } from "../image/imageSource.ts";
import { pinnedImage } from "../image/publishedImage.ts";
import { createServer } from "../pointInTime/serverResource.ts";
import { createWalPassword } from "../pointInTime/walPassword.ts";
import { withDynamicProvider } from "../pulumi/dynamicPackage.ts";
import { applyReportingProblems, logOf, reportProblems } from "../pulumi/resourceMessages.ts";
import { accessoryOf, kamalSecretsOf } from "./accessory.ts";
import { checkedSettings, settingsOf } from "./agentSettings.ts";
import { type CreatedCopy, createCopy } from "./copy.ts";
import { Encryption } from "./encryption.ts";
import { noticeSettings } from "./notices.ts";
import { outputsOf, secretOutputsOf, stackName } from "./outputs.ts";
import type { PostgresBackupArgs } from "./postgresBackupArgs.ts";
import { type ResolvedBackup, resolveBackup } from "./resolveBackup.ts";
import { accessOf } from "./validateArgs.ts";

/**
 * Backs up the PostgreSQL databases of a Kamal application: makes the container's key, builds its image, renders the
 * accessory into deploy.yml, boots it on the database's host and proves that it can write to the bucket.
 *
 * Where `pulumi:disable-default-providers` is set, give it `providers` of `docker`, `command` and, with an
 * `AwsBackupBucket`, `aws`; its dynamic resources bring their own.
 *
 * @example
 * const backup = new PostgresBackup("shop", {
 *   kamal: { config: "../shop/config/deploy.yml", destination: "production" },
 *   bucket: new AwsBackupBucket("shop-backups", { retention: Retention.days(30) }),
 *   schedule: Schedule.daily("03:15"),
 * });
 * export const outputs = backup.outputs;
 */
export class PostgresBackup extends pulumi.ComponentResource {
  /** The container's key and the reader's; undefined for a bucket with keys of its own. */
  readonly keys: BackupKeys | undefined;
  /** Those for the copies; undefined without a copy, or for a bucket with keys of its own. */
  readonly copyKeys: BackupKeys | undefined;
  /** The image; undefined when a published one was named. */
  readonly image: AgentImage | HostAgentImage | undefined;
  readonly accessory: KamalAccessory;

  /** What the command line reads. Export it under any name. */
  readonly outputs: pulumi.Output<BackupOutputs>;
  readonly location: pulumi.Output<BackupOutputs["location"]>;
  readonly writerKeyId: pulumi.Output<string>;
  /** The key for restoring from elsewhere, never on the host; undefined for a bucket with keys of its own. */
  readonly readerKeyId: pulumi.Output<string> | undefined;
  /** Secret. */
  readonly readerSecretKey: pulumi.Output<string> | undefined;
  /**
   * The keys that sign backups, as `SIGNING_KEYS` in the container has them. They are in the stack's state alone: keep them
   * elsewhere as well if backups shall still be known for yours when that is lost. Secret.
   */
  readonly signingKeys: pulumi.Output<string>;

  /**
   * The container's secrets by their names among Kamal's, to be exported under these very names where `kamal.secrets` is
   * `"outputs"`; otherwise none. Secret.
   * @example export default { backup: backup.outputs, ...backup.secretOutputs };
   */
  readonly secretOutputs: Readonly<Record<string, pulumi.Output<string>>>;

  constructor(name: string, args: PostgresBackupArgs, opts?: pulumi.ComponentResourceOptions) {
    super("kamal-postgres-backup:index:PostgresBackup", name, {}, withDynamicProvider(opts));
    const resolved = reportProblems(this, () => resolveBackup(args, logOf(this)));

    const site = { parent: this, name, resolved };
    const bucket = createBackupAccess(site);
    const copy = createCopyAccess(site, bucket);
    const built = createImage(site);
    const signing = createSigning(site);
    const walPassword = createPassword(site);
    const prepared = walPassword && prepareServer(site, walPassword);
    const settings = createSettings(site, { bucket, copy, signing, walPassword });
    const declared = declareAccessory(site, settings, built);
    const secrets = settings.apply((known) =>
      kamalSecretsOf(resolved.secretPrefix, known, resolved.database),
    );
    this.accessory = createAccessory(site, {
      settings,
      secrets,
      declared,
      needs: prepared ? [prepared] : [],
    });
    this.secretOutputs = secretOutputsOf(resolved, secrets);

    this.keys = bucket.keys;
    this.copyKeys = copy?.keys;
    this.image = built;
    this.location = bucket.location;
    this.writerKeyId = pulumi.unsecret(bucket.accessKeyId);
    this.readerKeyId = bucket.keys?.reader.accessKeyId;
    this.readerSecretKey = bucket.keys?.reader.secretAccessKey;
    this.signingKeys = signing.apply(({ signingKeys }) => signingKeys.join(","));
    this.outputs = outputsOf({
      name,
      resolved,
      bucket,
      copy,
      image: declared.apply(({ image }) => image),
    });
    this.registerOutputs({
      outputs: this.outputs,
      location: this.location,
      writerKeyId: this.writerKeyId,
      readerKeyId: this.readerKeyId,
      readerSecretKey: this.readerSecretKey,
      signingKeys: this.signingKeys,
    });
  }
}

/** What the children are made from. */
interface Site {
  readonly parent: pulumi.Resource;
  readonly name: string;
  readonly resolved: ResolvedBackup;
}

function createBackupAccess({ parent, name, resolved }: Site): BucketAccess {
  const { bucket, args } = resolved;
  return createBucketAccess({ parent, name, bucket, transform: args.transform?.keys });
}

function createCopyAccess(
  { parent, name, resolved }: Site,
  original: BucketAccess,
): CreatedCopy | undefined {
  const { copy, args } = resolved;
  if (copy === undefined) return undefined;
  const { jitterSeconds } = args;
  return createCopy({ parent, name, copy, original, jitterSeconds, settingName: resolved.name });
}

/** @returns undefined for an image that is published already */
function createImage({ parent, name, resolved }: Site): AgentImage | HostAgentImage | undefined {
  const { args, image, registry, accessory, access } = resolved;
  const { baseImage, transform } = args;
  const built = { parent, name, postgresMajor: resolved.database.major, baseImage };
  const settings = { baseImage: resolved.name("baseImage") };
  if (image.from === "published") return undefined;
  if (image.from === "host") {
    return createHostImage(built, { container: accessory.container, access, settings });
  }
  const { repository, platform = hostPlatform(parent, access, resolved.name("platform")) } = image;
  return createRegistryImage(built, {
    repository,
    platform,
    registry,
    transform: transform?.image,
  });
}

/** Whatever kind of bucket: what was written there is not known by who may write. */
function createSigning({
  parent,
  name,
  resolved: { args, name: settingName },
}: Site): pulumi.Output<Required<SigningSettings>> {
  const { signing, keys } = args;
  return createSigningKey({ parent, name, signing, rotateAfter: keys?.rotateAfter, settingName });
}

/** @returns undefined without point-in-time recovery */
function createPassword({ parent, name, resolved }: Site): pulumi.Output<string> | undefined {
  const { pointInTime, args } = resolved;
  return pointInTime && createWalPassword(parent, name, args.keys?.rotateAfter);
}

function prepareServer({ parent, name, resolved }: Site, password: pulumi.Output<string>) {
  const { pointInTime, access, accessory, database, name: settingName } = resolved;
  if (pointInTime === undefined) return undefined;
  const { container, serverDiskMib } = pointInTime;
  const agent = accessory.container;
  return createServer({
    ...{ parent, name, container, agent, access, database, password, serverDiskMib, settingName },
  });
}

function createSettings(
  { parent, resolved }: Site,
  {
    bucket,
    copy,
    signing,
    walPassword,
  }: {
    readonly bucket: BucketAccess;
    readonly copy: CreatedCopy | undefined;
    readonly signing: pulumi.Output<Required<SigningSettings>>;
    readonly walPassword: pulumi.Output<string> | undefined;
  },
): pulumi.Output<AgentSettings> {
  const { args, name } = resolved;
  const notices = noticeSettings(parent, args.notices ?? {}, name);
  const encryption = Encryption.settingsOf(parent, args.encryption, name);
  const settings = settingsOf({
    resolved,
    access: bucket,
    copy,
    notices,
    encryption,
    walPassword,
  });
  // Judged without the signing key, which is not known in the preview that would make it.
  const checked = applyReportingProblems(parent, settings, (known) =>
    checkedSettings(known, resolved),
  );
  return pulumi.all([checked, signing]).apply(([known, keys]) => ({ ...known, ...keys }));
}

/** The accessory as every view of it is made from. */
function declareAccessory(
  { parent, resolved }: Site,
  settings: pulumi.Output<AgentSettings>,
  built: AgentImage | HostAgentImage | undefined,
): pulumi.Output<Accessory> {
  const { args, accessory, secretPrefix, database, project, registry, image } = resolved;
  const reference =
    image.from === "published"
      ? pinnedImage(parent, { setting: resolved.name("image"), image: image.reference, registry })
      : (built as AgentImage | HostAgentImage).reference;
  const { logging } = project.config;
  return pulumi.unsecret(
    pulumi
      .all([settings, reference])
      .apply(([known, pinned]) =>
        accessoryOf(accessory, known, database, { ...args, image: pinned, logging, secretPrefix }),
      ),
  );
}

function createAccessory(
  { parent, name, resolved }: Site,
  {
    settings,
    secrets,
    declared,
    needs,
  }: {
    readonly settings: pulumi.Output<AgentSettings>;
    readonly secrets: pulumi.Output<Record<string, string>>;
    readonly declared: pulumi.Output<Accessory>;
    readonly needs: readonly pulumi.Resource[];
  },
): KamalAccessory {
  const { args, accessory: names, project, access, registry, bucket, copy } = resolved;
  const { bootByKamal, deployHook } = resolved;
  const { transform } = args;
  return new KamalAccessory(
    name,
    {
      names,
      accessory: declared,
      secrets: settings.apply((known) => ({ ...toEnvironment(known).secret })),
      kamalSecrets: secrets,
      lookUpIn: args.kamal.secrets === "outputs" ? stackName() : undefined,
      deployFile: project.deployFile,
      secretsFile: project.secretsFile,
      access,
      replacesContainer: args.replacesContainer,
      firstBackup: takesFirstBackup(args),
      bucket: settings.apply(({ store }) => store.bucket),
      bootByKamal,
      deployHook,
      needs,
      // The probe has waited for the key too, but from here: the host may ask another server of AWS, or be the only one
      // that reaches the bucket.
      patience: hasNewKeys(bucket) || (copy && hasNewKeys(copy.bucket)) ? 60 : 0,
      ...(registry && { registry }),
      ...(transform?.accessory && { transform: transform.accessory }),
    },
    { parent },
  );
}

/** A key that may not list does not see whether there is a backup. */
function takesFirstBackup(args: PostgresBackupArgs): boolean {
  return args.firstBackup !== false && accessOf(args) !== "append-only";
}
