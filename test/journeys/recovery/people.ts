import assert from "node:assert/strict";
import { query, runCli } from "../../../sandbox/stack/actors.ts";
import type { Journey } from "../../support/journey.ts";

/** Rows of the table that is to be masked. */
const PEOPLE = 2000;

/** A table of people in the application's database, each with a text that nobody may see, and a backup with it. */
export async function makePeople({ world, stack }: Journey, canary: string): Promise<void> {
  await query(
    world,
    `drop table if exists people; create table people (id int primary key, mail text);
     create index on people (mail);
     insert into people select i, '${canary}-' || i || '@example.com' from generate_series(1, ${PEOPLE}) i`,
  );
  await backUp(stack);
}

/** Takes it away. The backup without it is the new normal: that of another journey would be a suspect one. */
export async function dropPeople({ world, stack }: Journey): Promise<void> {
  await query(world, "drop table if exists people");
  await backUp(stack);
}

async function backUp(stack: Journey["stack"]): Promise<void> {
  const { code, stderr } = await runCli(stack, ["backup", "--json", "--accept"]);
  assert.equal(code, 0, stderr);
}
