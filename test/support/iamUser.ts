import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  DeleteUserCommand,
  DeleteUserPolicyCommand,
  IAMClient,
  PutUserPolicyCommand,
} from "@aws-sdk/client-iam";

/** A pair of keys. */
export interface Key {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** A user with a key, at a service that has IAM. */
export interface IamUser {
  readonly name: string;
  /** The first key. */
  readonly key: Key;
  /** Writes a policy of this name, over one that was there. @param name default `rights` */
  allow(document: object, name?: string): Promise<void>;
  anotherKey(): Promise<Key>;
  deleteKey(accessKeyId: string): Promise<void>;
  /** Takes the user away with all that was made here. */
  remove(): Promise<void>;
}

/** Where users are made, and the administrator's key. */
export type IamService = Key & { readonly endpoint: string };

/** Makes a user with one key. @param documents policies, the first of them under the name `rights` */
export async function iamUser(
  { endpoint, accessKeyId, secretAccessKey }: IamService,
  name: string,
  ...documents: readonly object[]
): Promise<IamUser> {
  const credentials = { accessKeyId, secretAccessKey };
  const iam = new IAMClient({ endpoint, region: "us-east-1", credentials });
  const UserName = name;
  const policies = new Set<string>();
  const keys = new Set<string>();
  await iam.send(new CreateUserCommand({ UserName }));
  const allow = async (document: object, PolicyName = "rights") => {
    const PolicyDocument = JSON.stringify(document);
    await iam.send(new PutUserPolicyCommand({ UserName, PolicyName, PolicyDocument }));
    policies.add(PolicyName);
  };
  const anotherKey = async (): Promise<Key> => {
    const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
    const { AccessKeyId, SecretAccessKey } = AccessKey ?? {};
    if (!AccessKeyId || !SecretAccessKey) throw new Error(`the service made no key for ${name}`);
    keys.add(AccessKeyId);
    return { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey };
  };
  const deleteKey = async (AccessKeyId: string) => {
    await iam.send(new DeleteAccessKeyCommand({ UserName, AccessKeyId }));
    keys.delete(AccessKeyId);
  };
  for (const [i, document] of documents.entries()) {
    await allow(document, i === 0 ? undefined : `rights-${i + 1}`);
  }
  return {
    name,
    key: await anotherKey(),
    allow,
    anotherKey,
    deleteKey,
    remove: async () => {
      for (const id of [...keys]) await deleteKey(id);
      for (const PolicyName of policies) {
        await iam.send(new DeleteUserPolicyCommand({ UserName, PolicyName }));
      }
      await iam.send(new DeleteUserCommand({ UserName }));
      iam.destroy();
    },
  };
}
