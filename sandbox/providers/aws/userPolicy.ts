import {
  DeleteUserPolicyCommand,
  GetUserPolicyCommand,
  PutUserPolicyCommand,
} from "@aws-sdk/client-iam";
import { autoname, type Resource } from "../resource.ts";
import { checkPolicy, samePolicy } from "./policyDocument.ts";
import { doing, iam, unless } from "./service.ts";

/** The SDK's `policy` may be an object and its `name` may be left out; `check` has settled both. */
interface Inputs {
  name: string;
  user: string;
  policy: string;
}

export const userPolicy: Resource<Inputs> = {
  type: "aws:iam/userPolicy:UserPolicy",
  computed: [],
  replacedBy: ["name", "namePrefix", "user"],
  equal: { policy: samePolicy },

  check(news, context) {
    const prefix = news["namePrefix"];
    return autoname("name", checkPolicy(news), context, {
      ...(typeof prefix === "string" && { prefix }),
      maximum: 128,
    });
  },

  async create(inputs) {
    await write(inputs);
    return { id: `${inputs.user}:${inputs.name}`, outputs: {} };
  },

  async read(id) {
    // A user's name cannot hold a colon, so the first one parts the two.
    const colon = id.indexOf(":");
    const [user, name] = [id.slice(0, colon), id.slice(colon + 1)];
    const found = await unless(["NoSuchEntity", "NoSuchEntityException"], () =>
      iam.send(new GetUserPolicyCommand({ UserName: user, PolicyName: name })),
    );
    if (!found?.PolicyDocument) return undefined;
    return {
      inputs: { name, user, policy: decoded(found.PolicyDocument) },
      outputs: {},
    };
  },

  async update(_id, news) {
    await write(news);
    return {};
  },

  async delete(_id, state) {
    const [user, name] = [String(state["user"]), String(state["name"])];
    await doing(`deleting IAM User Policy (${user}:${name})`, () =>
      unless(["NoSuchEntity", "NoSuchEntityException"], () =>
        iam.send(new DeleteUserPolicyCommand({ UserName: user, PolicyName: name })),
      ),
    );
  },
};

async function write({ user, name, policy }: Inputs): Promise<void> {
  await doing(`putting IAM User Policy (${user}:${name})`, () =>
    iam.send(
      new PutUserPolicyCommand({ UserName: user, PolicyName: name, PolicyDocument: policy }),
    ),
  );
}

/** IAM gives a document back URL-encoded; some services give it back as it was. */
function decoded(document: string): string {
  return document.startsWith("%7B") ? decodeURIComponent(document) : document;
}
