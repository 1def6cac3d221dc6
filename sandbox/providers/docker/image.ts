import { access } from "node:fs/promises";
import { join, relative } from "node:path";
import type { ImageArgs } from "@pulumi/docker/image.js";
import type { UnwrappedObject } from "@pulumi/pulumi";
import { CheckFailure, type Context, type Resource, takesOnly } from "../resource.ts";
import { hasUnknown, isObject, type Props, type Value } from "../values.ts";
import { build, hostPlatform, imageId, push } from "./cli.ts";
import { contextDigest } from "./context.ts";

type Inputs = UnwrappedObject<ImageArgs>;

const OUTPUTS = [
  "baseImageName",
  "context",
  "dockerfile",
  "platform",
  "registryServer",
  "repoDigest",
];

/** Has no `read`, like the real one: what is in a registry is never looked at again. */
export const image: Resource<Inputs> = {
  type: "docker:index/image:Image",
  computed: OUTPUTS,
  volatile: OUTPUTS,
  replacedBy: [],
  secrets: ["registry"],
  // Passwords change without a reason to build again.
  equal: { registry: (before, after) => serverOf(before) === serverOf(after) },

  async check(news) {
    const given = news["build"] ?? {};
    if (!isObject(given)) return news; // not known yet
    takesOnly(
      ["args", "context", "dockerfile", "network", "platform", "target", "contextDigest"],
      given,
      "build.",
    );
    const { context = ".", platform = hostPlatform, ...rest } = given;
    const settled: Props = { ...rest, context, platform };
    if (!hasUnknown(context) && !hasUnknown(rest["dockerfile"] ?? "")) {
      settled["dockerfile"] = rest["dockerfile"] ?? join(String(context), "Dockerfile");
      settled["contextDigest"] = await digest(String(context), String(settled["dockerfile"]));
    }
    return { ...news, build: settled, buildOnPreview: news["buildOnPreview"] ?? false };
  },

  async create(inputs, context) {
    return { id: inputs.imageName, outputs: await make(inputs, context) };
  },

  update(_id, news, _olds, context) {
    return make(news, context);
  },

  async delete() {
    // The pushed image stays in the registry, as with the real provider.
  },
};

async function digest(context: string, dockerfile: string): Promise<string> {
  try {
    await access(dockerfile);
  } catch {
    throw new CheckFailure("build.dockerfile", `could not open dockerfile at path "${dockerfile}"`);
  }
  return contextDigest(context, dockerfile);
}

async function make(inputs: Inputs, context: Context): Promise<Props> {
  const { imageName, registry, skipPush = false } = inputs;
  const { context: folder = ".", dockerfile = "", platform = hostPlatform } = inputs.build ?? {};
  await build({
    image: imageName,
    context: folder,
    dockerfile,
    platform,
    args: inputs.build?.args ?? {},
    target: inputs.build?.target,
    network: inputs.build?.network,
    login: loginOf(registry, imageName),
    onLine: (line) => context.log("status", line),
  });
  let repoDigest = await imageId(imageName);
  if (!skipPush) {
    context.log("status", "Pushing image to the registry");
    const pushed = await push(imageName, loginOf(registry, imageName));
    repoDigest = `${repositoryOf(imageName)}@${pushed}`;
  }
  return {
    baseImageName: imageName,
    context: folder,
    dockerfile: relative(folder, dockerfile),
    platform,
    registryServer: registry?.server ?? "",
    repoDigest,
  };
}

function loginOf(registry: Inputs["registry"], imageName: string) {
  if (!registry?.username || !registry.password) return undefined;
  const { username, password } = registry;
  return {
    server: registry.server ?? repositoryOf(imageName).split("/")[0] ?? "",
    username,
    password,
  };
}

/** The full name of an image's repository: no tag, and Docker's own registry spelt out. */
function repositoryOf(imageName: string): string {
  const name = imageName.replace(/:[^/:]+$/, "");
  const [first = "", ...rest] = name.split("/");
  if (rest.length > 0 && /[.:]|^localhost$/.test(first)) return name;
  return `docker.io/${rest.length > 0 ? name : `library/${name}`}`;
}

function serverOf(registry: Value): Value {
  return isObject(registry) ? (registry["server"] ?? "") : registry;
}
