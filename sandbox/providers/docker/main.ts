import { serve } from "../frame.ts";
import { pluginVersion } from "../packageVersion.ts";
import { image } from "./image.ts";

await serve({ name: "docker", version: pluginVersion("docker"), resources: [image] });
