import {
  CreateUserCommand,
  DeleteAccessKeyCommand,
  DeleteUserCommand,
  GetUserCommand,
  ListAccessKeysCommand,
  TagUserCommand,
  UntagUserCommand,
  UpdateUserCommand,
  type User,
} from "@aws-sdk/client-iam";
import type { UserArgs } from "@pulumi/aws/iam/user.js";
import type { UnwrappedObject } from "@pulumi/pulumi";
import { autoname, type Resource, takesOnly } from "../resource.ts";
import type { Props } from "../values.ts";
import { doing, fromTagList, iam, toTagList, unless } from "./service.ts";

type Inputs = UnwrappedObject<UserArgs>;

export const user: Resource<Inputs> = {
  type: "aws:iam/user:User",
  computed: ["arn", "uniqueId", "tagsAll"],
  volatile: ["arn", "tagsAll"],
  // The real provider renames a user in place (UpdateUser); here a new one is made, with its policies and keys.
  replacedBy: ["name"],

  check(news, context) {
    takesOnly(["name", "path", "forceDestroy", "tags"], news);
    return autoname("name", { forceDestroy: false, path: "/", ...news }, context, { maximum: 64 });
  },

  async create(inputs) {
    const name = inputs.name ?? "";
    await doing(`creating IAM User (${name})`, () =>
      iam.send(
        new CreateUserCommand({
          UserName: name,
          Path: inputs.path,
          Tags: toTagList(inputs.tags),
        }),
      ),
    );
    return { id: name, outputs: outputsOf(name, await find(name)) };
  },

  async read(name, state) {
    const found = await find(name);
    if (found === undefined) return undefined;
    return {
      inputs: {
        name,
        path: found.Path || "/",
        tags: fromTagList(found.Tags ?? []),
        forceDestroy: state["forceDestroy"] ?? false,
      },
      outputs: outputsOf(name, found),
    };
  },

  async update(name, news, olds) {
    await doing(`updating IAM User (${name})`, async () => {
      if (news.path !== olds["path"]) {
        await iam.send(new UpdateUserCommand({ UserName: name, NewPath: news.path }));
      }
      const gone = Object.keys(olds["tags"] ?? {}).filter((key) => !(key in (news.tags ?? {})));
      if (gone.length > 0) await iam.send(new UntagUserCommand({ UserName: name, TagKeys: gone }));
      const Tags = toTagList(news.tags);
      if (Tags.length > 0) await iam.send(new TagUserCommand({ UserName: name, Tags }));
    });
    return outputsOf(name, await find(name));
  },

  async delete(name, state) {
    await doing(`deleting IAM User (${name})`, async () => {
      if (state["forceDestroy"] === true) await deleteKeys(name);
      await unless(["NoSuchEntity", "NoSuchEntityException"], () =>
        iam.send(new DeleteUserCommand({ UserName: name })),
      );
    });
  },
};

async function find(name: string): Promise<User | undefined> {
  const found = await unless(["NoSuchEntity", "NoSuchEntityException"], () =>
    iam.send(new GetUserCommand({ UserName: name })),
  );
  return found?.User;
}

function outputsOf(name: string, found: User | undefined): Props {
  return {
    arn: found?.Arn || `arn:aws:iam::000000000000:user/${name}`,
    uniqueId: found?.UserId ?? "",
    tagsAll: fromTagList(found?.Tags ?? []) ?? {},
  };
}

/** Keys that were made outside the stack would keep the user alive. */
async function deleteKeys(UserName: string): Promise<void> {
  const { AccessKeyMetadata = [] } = await iam.send(new ListAccessKeysCommand({ UserName }));
  for (const { AccessKeyId } of AccessKeyMetadata) {
    await iam.send(new DeleteAccessKeyCommand({ UserName, AccessKeyId }));
  }
}
