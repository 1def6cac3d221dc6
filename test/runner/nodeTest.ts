/**
 * `node:test`, which here knows the test that something belongs to by Node's AsyncLocalStorage. By itself it has a hook run for each
 * promise that is made and for each that is collected (lib/internal/test_runner/harness.js, `setupProcessState`), and Pulumi makes
 * millions: a third of the time of the components' tests. What a test leaves behind and what it throws too late is still its own.
 */
import type { AsyncResource as Resource } from "node:async_hooks";
import { createRequire } from "node:module";

type Hooks = Record<"createHook" | "executionAsyncId" | "AsyncResource", unknown>;
type Init = (id: number, type: string, trigger: number, resource: object) => void;

/**
 * To be called before anything imports `node:test`, which takes these functions once, when it is loaded; whoever asks for them
 * later gets Node's own.
 */
export async function loadNodeTest(): Promise<Pick<typeof import("node:test"), "run">> {
  const hooks = createRequire(import.meta.url)("node:async_hooks") as Hooks;
  const { createHook, executionAsyncId: usualId, AsyncResource: Usual } = hooks;
  const { AsyncLocalStorage, AsyncResource, executionAsyncId } = await import("node:async_hooks");
  const current = new AsyncLocalStorage<number>();
  let note: Init = () => {};
  /** Each test, suite and hook is one, with its function run in its scope. */
  class TestResource extends AsyncResource {
    constructor(type: string, options?: ConstructorParameters<typeof Resource>[1]) {
      super(type, options);
      note(this.asyncId(), type, this.triggerAsyncId(), this);
    }
    override runInAsyncScope<This, Result>(
      run: (this: This, ...args: never[]) => Result,
      self?: This,
      ...args: never[]
    ): Result {
      const scoped = () => current.run(this.asyncId(), () => run.apply(self as This, args));
      return super.runInAsyncScope(scoped);
    }
  }
  Object.assign(hooks, {
    AsyncResource: TestResource,
    executionAsyncId: () => current.getStore() ?? executionAsyncId(),
    createHook: ({ init }: { init: Init }) => {
      note = init;
      return { enable() {}, disable() {} };
    },
  });
  try {
    return await import("node:test");
  } finally {
    Object.assign(hooks, { createHook, executionAsyncId: usualId, AsyncResource: Usual });
  }
}
