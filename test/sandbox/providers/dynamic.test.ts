import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { openProject, type Project } from "../../support/engineProject.ts";

/** A dynamic resource whose id is the process that made it. */
class Made extends pulumi.dynamic.Resource {
  constructor(name: string) {
    super(
      {
        create: async () => ({ id: String(process.pid), outs: { folder: process.cwd() } }),
        read: async (id, props) => ({ id: id ?? "", props: { ...props, readBy: process.pid } }),
      },
      name,
      { folder: undefined },
    );
  }
  declare readonly folder: pulumi.Output<string>;
}

const program =
  (...names: string[]) =>
  async () => {
    const made = names.map((name) => new Made(name));
    return { pids: made.map(({ id }) => id), folders: made.map(({ folder }) => folder) };
  };

for (const [dynamic, processes] of [
  ["warm", 1],
  ["cold", 2],
] as const) {
  describe(`a ${dynamic} provider of dynamic resources`, () => {
    let project: Project;
    before(async () => {
      project = await openProject([], {}, {}, dynamic);
    });
    after(() => project?.close());

    it(`is ${processes === 1 ? "one process" : "a process each"} in two operations, and works where the program does`, async () => {
      await project.up(program("first"));
      await project.up(program("first", "second"));
      const { pids, folders } = await project.outputs();
      assert.equal(new Set(pids?.value).size, processes, JSON.stringify(pids));
      assert.deepEqual(new Set(folders?.value), new Set([process.cwd()]));
      await project.destroy(program("first", "second"));
    });
  });
}
