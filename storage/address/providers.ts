import * as abilities from "./providerCapabilities.ts";

/** What sets one S3 service apart from the others, as far as backups are concerned. */
export interface Provider {
  readonly name: string;
  /**
   * Host of the service address. Group `bucket` is what a console puts in front of it, group `region` the region that
   * the host names; a row without the group `region` says nothing about it.
   */
  readonly host: RegExp;
  /** Region string to sign with where it differs from the one in the host. */
  readonly regionAlias?: Readonly<Record<string, string>>;
  /** The only region that the service knows. */
  readonly fixedRegion?: string;
  /** Highest number of parts of one object. */
  readonly maxParts: number;
  /** Refuses an upload whose parts, the last excepted, differ in size. */
  readonly equalParts: boolean;
  /** `when-supported`: a CRC32 goes with each part; `when-required`: only where S3 itself demands one. */
  readonly checksums: "when-supported" | "when-required";
  /** Bucket in the path instead of the host. */
  readonly pathStyle: boolean;
  /** Knows `If-None-Match: *`, or ignores it in silence; false: answers an error. */
  readonly conditionalWrites: boolean;
  /** Which settings a bucket of this service accepts. */
  readonly buckets: abilities.BucketAbilities;
  /** What access key ids of this service look like. */
  readonly keyId?: RegExp;
  /** What secret keys look like, in words and as a pattern. */
  readonly secret?: { readonly pattern: RegExp; readonly words: string };
}

const common = {
  maxParts: 10_000,
  equalParts: false,
  checksums: "when-required",
  pathStyle: true,
  conditionalWrites: true,
  // Of an unknown service everything is asked; what it cannot do, it refuses.
  buckets: abilities.all,
} as const;

export const aws: Provider = {
  ...common,
  name: "AWS",
  host: /^(?:(?<bucket>.+)\.)?s3(?:-fips)?(?:\.dualstack)?(?:[.-](?<region>[a-z]{2}(?:-[a-z]+)+-\d))?\.amazonaws\.com(?:\.cn)?$/,
  checksums: "when-supported",
  pathStyle: false,
  keyId: /^A[KS]IA/,
};

/** Any service that is not in the table: MinIO, Garage, SeaweedFS, Ceph, RustFS and the like at a host of their own. */
export const other: Provider = { ...common, name: "S3-compatible service", host: /^$/ };

/** Software that anyone can run, at a host whose name does not show it. */
export const software = {
  ceph: { ...other, name: "Ceph", buckets: abilities.ceph },
  garage: { ...other, name: "Garage", buckets: abilities.garage },
  minio: { ...other, name: "MinIO", buckets: abilities.minio },
  seaweedfs: { ...other, name: "SeaweedFS" },
} as const satisfies Record<string, Provider>;

/** Name of a software in the table. */
export type Software = keyof typeof software;

/** One row a provider. To support one more, add a row here and one in the test's table. */
export const providers: readonly Provider[] = [
  aws,
  {
    ...common,
    name: "Scaleway",
    host: /^(?:(?<bucket>.+)\.)?s3\.(?<region>[a-z]{2}-[a-z]{3})\.scw\.cloud$/,
    maxParts: 1_000,
    keyId: /^SCW/,
    buckets: abilities.scaleway,
  },
  {
    ...common,
    name: "DigitalOcean Spaces",
    host: /^(?:(?<bucket>.+)\.)?(?<region>[a-z]{3}\d)\.digitaloceanspaces\.com$/,
    buckets: abilities.digitalOcean,
  },
  {
    ...common,
    name: "Hetzner",
    host: /^(?:(?<bucket>.+)\.)?(?<region>[a-z]{3}\d)\.your-objectstorage\.com$/,
    buckets: abilities.hetzner,
  },
  {
    ...common,
    name: "Cloudflare R2",
    host: /^(?:(?<bucket>.+)\.)?[0-9a-f]{32}(?:\.(?:eu|fedramp))?\.r2\.cloudflarestorage\.com$/,
    // https://developers.cloudflare.com/r2/api/s3/api/
    fixedRegion: "auto",
    // https://developers.cloudflare.com/r2/objects/multipart-objects/
    equalParts: true,
    secret: {
      pattern: /^[0-9a-f]{64}$/,
      words: "64 hexadecimal digits: the SHA-256 of the API token's value, not the value itself",
    },
    buckets: abilities.r2,
  },
  {
    ...common,
    name: "Backblaze B2",
    host: /^(?:(?<bucket>.+)\.)?s3\.(?<region>[a-z]+-[a-z]+-\d{3})\.backblazeb2\.com$/,
    buckets: abilities.b2,
  },
  {
    ...common,
    name: "Wasabi",
    host: /^(?:(?<bucket>.+)\.)?s3(?:\.(?<region>[a-z]+-[a-z]+-\d))?\.wasabisys\.com$/,
    buckets: abilities.wasabi,
  },
  {
    ...common,
    name: "OVHcloud",
    host: /^(?:(?<bucket>.+)\.)?s3\.(?<region>[a-z0-9-]+)\.(?:io|perf)\.cloud\.ovh\.(?:net|us)$/,
    buckets: abilities.ovh,
  },
  {
    // One region has several hosts, so the host does not name the region.
    ...common,
    name: "Linode",
    host: /^(?:(?<bucket>.+)\.)?[a-z]{2}-[a-z]+(?:-\d+)?\.linodeobjects\.com$/,
    buckets: abilities.linode,
  },
  {
    ...common,
    name: "Exoscale",
    host: /^(?:(?<bucket>.+)\.)?sos-(?<region>[a-z]{2}-[a-z]+-\d)\.exo\.io$/,
    buckets: abilities.exoscale,
  },
  {
    ...common,
    name: "IONOS",
    host: /^(?:(?<bucket>.+)\.)?s3[.-](?<region>[a-z]{2}-[a-z]+-\d)\.ionoscloud\.com$/,
    regionAlias: { "eu-central-1": "de" },
    buckets: abilities.ionos,
  },
  {
    ...common,
    name: "Vultr",
    host: /^(?:(?<bucket>.+)\.)?[a-z]{3}\d+\.vultrobjects\.com$/,
    buckets: abilities.vultr,
  },
  {
    ...common,
    name: "Tigris",
    host: /^(?:(?<bucket>.+)\.)?(?:t3\.storage\.dev|fly\.storage\.tigris\.dev)$/,
    fixedRegion: "auto",
    pathStyle: false,
    buckets: abilities.tigris,
  },
];

/** A host of a known provider, taken apart. */
export interface ProviderHost {
  readonly provider: Provider;
  /** Host of the service itself, without a bucket in front. */
  readonly service: string;
  readonly bucket?: string;
  readonly region?: string;
}

/** Finds the provider of a host name, or undefined when it is none of the table. */
export function matchHost(host: string): ProviderHost | undefined {
  for (const provider of providers) {
    const groups = provider.host.exec(host)?.groups;
    if (groups === undefined) continue;
    const { bucket, region } = groups;
    return {
      provider,
      service: bucket === undefined ? host : host.slice(bucket.length + 1),
      ...(bucket !== undefined && { bucket }),
      ...(region !== undefined && { region: provider.regionAlias?.[region] ?? region }),
    };
  }
  return undefined;
}
