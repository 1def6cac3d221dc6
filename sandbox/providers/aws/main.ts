import { serve } from "../frame.ts";
import { pluginVersion } from "../packageVersion.ts";
import { accessKey } from "./accessKey.ts";
import { bucket } from "./bucket.ts";
import { bucketLifecycleConfiguration } from "./bucketLifecycleConfiguration.ts";
import { bucketObjectLockConfiguration } from "./bucketObjectLockConfiguration.ts";
import { bucketOwnershipControls } from "./bucketOwnershipControls.ts";
import { bucketPolicy } from "./bucketPolicy.ts";
import { bucketPublicAccessBlock } from "./bucketPublicAccessBlock.ts";
import { bucketServerSideEncryptionConfiguration } from "./bucketServerSideEncryptionConfiguration.ts";
import { bucketVersioning } from "./bucketVersioning.ts";
import { user } from "./user.ts";
import { userPolicy } from "./userPolicy.ts";

await serve({
  name: "aws",
  version: pluginVersion("aws"),
  resources: [
    accessKey,
    bucket,
    bucketLifecycleConfiguration,
    bucketObjectLockConfiguration,
    bucketOwnershipControls,
    bucketPolicy,
    bucketPublicAccessBlock,
    bucketServerSideEncryptionConfiguration,
    bucketVersioning,
    user,
    userPolicy,
  ],
});
