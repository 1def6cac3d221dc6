import { serve } from "../frame.ts";
import { pluginVersion } from "../packageVersion.ts";
import { remoteCommand } from "./remoteCommand.ts";

await serve({ name: "command", version: pluginVersion("command"), resources: [remoteCommand] });
