import { createHmac } from "node:crypto";
import {
  CreateAccessKeyCommand,
  DeleteAccessKeyCommand,
  ListAccessKeysCommand,
  UpdateAccessKeyCommand,
} from "@aws-sdk/client-iam";
import type { AccessKeyArgs } from "@pulumi/aws/iam/accessKey.js";
import type { UnwrappedObject } from "@pulumi/pulumi";
import { type Resource, takesOnly } from "../resource.ts";
import { doing, iam, region, unless } from "./service.ts";

type Inputs = UnwrappedObject<AccessKeyArgs>;

export const accessKey: Resource<Inputs> = {
  type: "aws:iam/accessKey:AccessKey",
  computed: ["createDate", "secret", "sesSmtpPasswordV4"],
  replacedBy: ["user"],
  secrets: ["secret", "sesSmtpPasswordV4"],

  check(news) {
    takesOnly(["user", "status"], news);
    return { status: "Active", ...news };
  },

  async create(inputs) {
    const { AccessKey: key } = await doing(`creating IAM Access Key (${inputs.user})`, () =>
      iam.send(new CreateAccessKeyCommand({ UserName: inputs.user })),
    );
    if (!key?.AccessKeyId || !key.SecretAccessKey) {
      throw new Error(`creating IAM Access Key (${inputs.user}): the service returned no key`);
    }
    if (inputs.status === "Inactive") await write(inputs.user, key.AccessKeyId, "Inactive");
    return {
      id: key.AccessKeyId,
      outputs: {
        createDate: seconds(key.CreateDate),
        secret: key.SecretAccessKey,
        sesSmtpPasswordV4: sesPassword(key.SecretAccessKey),
      },
    };
  },

  async read(id, state) {
    const user = String(state["user"]);
    const found = await unless(["NoSuchEntity", "NoSuchEntityException"], () =>
      iam.send(new ListAccessKeysCommand({ UserName: user })),
    );
    const key = found?.AccessKeyMetadata?.find(({ AccessKeyId }) => AccessKeyId === id);
    if (key === undefined) return undefined;
    // The service never tells a secret twice: it is kept from the state.
    const { createDate, secret, sesSmtpPasswordV4 } = state;
    return {
      inputs: { user, status: key.Status ?? "Active" },
      outputs: {
        createDate: createDate ?? seconds(key.CreateDate),
        ...(secret !== undefined && { secret }),
        ...(sesSmtpPasswordV4 !== undefined && { sesSmtpPasswordV4 }),
      },
    };
  },

  async update(id, news) {
    await write(news.user, id, news.status === "Inactive" ? "Inactive" : "Active");
    return {};
  },

  async delete(id, state) {
    await doing(`deleting IAM Access Key (${id})`, () =>
      unless(["NoSuchEntity", "NoSuchEntityException"], () =>
        iam.send(new DeleteAccessKeyCommand({ UserName: String(state["user"]), AccessKeyId: id })),
      ),
    );
  },
};

async function write(UserName: string, AccessKeyId: string, Status: "Active" | "Inactive") {
  await doing(`updating IAM Access Key (${AccessKeyId})`, () =>
    iam.send(new UpdateAccessKeyCommand({ UserName, AccessKeyId, Status })),
  );
}

function seconds(date: Date | undefined): string {
  return (date ?? new Date()).toISOString().replace(/\.\d+Z$/, "Z");
}

/** The SMTP password that AWS derives from a secret key: version byte 4, then a chain of signatures. */
function sesPassword(secret: string): string {
  const chain = ["11111111", region, "ses", "aws4_request", "SendRawEmail"];
  const signature = chain.reduce<Buffer>(
    (key, part) => createHmac("sha256", key).update(part).digest(),
    Buffer.from(`AWS4${secret}`),
  );
  return Buffer.concat([Buffer.from([4]), signature]).toString("base64");
}
