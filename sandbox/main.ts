import { Command } from "commander";
import { Problem } from "../common/problem.ts";
import { down, downOthers } from "./commands/down.ts";
import { statusOf } from "./commands/status.ts";
import { up } from "./commands/up.ts";
import { readWorld } from "./world/world.ts";

const log = (line: string) => console.log(line);

const program = new Command("sandbox").description(
  "A real world on this machine for the demo and the tests.",
);
// Options behind "cli" are those of the product.
program.enablePositionalOptions();

program
  .command("up")
  .description(
    "start what is missing: SSH host, registry, S3 service, and a database booted by Kamal",
  )
  .action(async () => {
    const start = performance.now();
    const world = await up({ log });
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(
      `The sandbox is up after ${seconds} s; its description is ${world.dir}/world.json.`,
    );
  });

program
  .command("status")
  .description("say which parts answer now; exit code 1 when one does not")
  .option("--json", "one JSON object on standard output")
  .action(async (options: { json?: boolean }) => {
    const world = readWorld();
    const parts = await statusOf(world);
    const up = parts.every((part) => part.answers);
    if (options.json === true) console.log(JSON.stringify({ up, id: world.id, parts }));
    else {
      for (const { part, answers, where } of parts) {
        console.log(`${part.padEnd(12)} ${(answers ? "up" : "DOWN").padEnd(5)} ${where}`);
      }
    }
    if (!up) process.exitCode = 1;
  });

program
  .command("cli")
  .description(
    "a command of kamal-postgres-backup for the sandbox's stack: npm run sandbox -- cli list",
  )
  .argument("<words...>")
  .allowUnknownOption()
  .passThroughOptions()
  .helpOption(false)
  .action(async (words: string[]) => {
    // Pulumi's SDK takes a second to load.
    const { cli } = await import("./commands/cli.ts");
    // At once: what the stack was opened with leaves timers behind.
    process.exit(await cli(words));
  });

program
  .command("still")
  .description("draw docs/images/terminal.svg anew from a real run: up, list, restore")
  .action(async () => {
    const { drawStill } = await import("./commands/still.ts");
    console.log(`${await drawStill(readWorld())} is drawn.`);
    // At once, as above.
    process.exit(0);
  });

program
  .command("down")
  .description("remove everything that up started; downloads stay in the cache")
  .option("--only", "leave other sandboxes of this checkout (SANDBOX_NAME) as they are")
  .action(async ({ only }: { only?: true }) => {
    if (!only) await downOthers({ log });
    await down({ log });
    console.log("The sandbox is down.");
  });

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof Problem)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
