import { Problem } from "../../common/problem.ts";
import { matchHost } from "../../storage/address/providers.ts";

/** Where a bucket can be, as `--provider` takes it. */
export interface BucketPlace {
  readonly id: string;
  /** As the question shows it. */
  readonly label: string;
  /** Makes the service's address from a region; absent: it is asked for. @default AWS itself, for AWS */
  readonly endpoint?: (region: string) => string;
  /** Regions to choose from, the first unless another is said; none: the service has but one, or it is asked for. */
  readonly regions: readonly string[];
  /** What an address there looks like, where it is asked for. */
  readonly example?: string;
  /** `pulumi up` makes bucket and keys by itself. */
  readonly makesItself?: true;
}

/**
 * The providers that `init` offers. Hosts as of the table in storage/address/providers.ts; regions as the providers list them in
 * November 2026, of which any other can be typed.
 */
export const BUCKET_PLACES: readonly BucketPlace[] = [
  { id: "aws", label: "AWS, a new bucket", regions: ["us-east-1"], makesItself: true },
  { id: "aws-existing", label: "AWS, a bucket that exists", regions: ["us-east-1"] },
  {
    id: "scaleway",
    label: "Scaleway",
    endpoint: (region) => `https://s3.${region}.scw.cloud`,
    regions: ["fr-par", "nl-ams", "pl-waw"],
  },
  {
    id: "hetzner",
    label: "Hetzner",
    endpoint: (region) => `https://${region}.your-objectstorage.com`,
    regions: ["fsn1", "nbg1", "hel1"],
  },
  {
    id: "r2",
    label: "Cloudflare R2",
    regions: [],
    example: "https://ACCOUNT.r2.cloudflarestorage.com",
  },
  {
    id: "digitalocean",
    label: "DigitalOcean Spaces",
    endpoint: (region) => `https://${region}.digitaloceanspaces.com`,
    regions: ["fra1", "ams3", "nyc3", "sfo3", "sgp1"],
  },
  {
    id: "backblaze",
    label: "Backblaze B2",
    endpoint: (region) => `https://s3.${region}.backblazeb2.com`,
    regions: ["eu-central-003", "us-west-004", "us-east-005"],
  },
  {
    id: "other",
    label: "another service that speaks S3, such as MinIO",
    regions: ["us-east-1"],
    example: "https://minio.example.com",
  },
];

/** @throws Problem with the ids that there are */
export function bucketPlace(id: string): BucketPlace {
  const found = BUCKET_PLACES.find((place) => place.id === id);
  if (found !== undefined) return found;
  throw new Problem(
    `--provider ${id} is none of ${BUCKET_PLACES.map((place) => place.id).join(", ")}.`,
  );
}

/** A bucket as consoles show it: with the service's address around it, or its name alone. */
export interface TypedBucket {
  readonly bucket: string;
  readonly endpoint?: string;
  readonly region?: string;
}

/** Takes `https://shop.s3.fr-par.scw.cloud` and `https://s3.fr-par.scw.cloud/shop` apart; a name stays. */
export function readTypedBucket(text: string): TypedBucket {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) return { bucket: text };
  const url = new URL(text);
  const known = matchHost(url.hostname);
  const inPath = url.pathname.split("/").find(Boolean);
  return {
    bucket: known?.bucket ?? inPath ?? "",
    endpoint: known?.bucket === undefined ? url.origin : `https://${known.service}`,
    ...(known?.region !== undefined && { region: known.region }),
  };
}
