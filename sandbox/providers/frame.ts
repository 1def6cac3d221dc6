import type { ServerUnaryCall, sendUnaryData, UntypedServiceImplementation } from "@grpc/grpc-js";
import type * as Messages from "@pulumi/pulumi/proto/provider_pb.js";
import { messageOf } from "../../common/problem.ts";
import { differences, isBelow, rootOf } from "./difference.ts";
import { Engine } from "./engine.ts";
import { Empty, grpc, plugins, providers, ResourceProviderService } from "./protocol.ts";
import { type AnyResource, CheckFailure, type Context } from "./resource.ts";
import { inputsAfterRead, propsOf, secretsOf, stateOf, structOf, unknowns } from "./state.ts";
import { unwrapProps, withoutUndefined, wrapProps } from "./values.ts";

export interface ProviderDescription {
  /** The package's name, e.g. `aws`. */
  readonly name: string;
  /** The version of the real provider whose contract is kept. */
  readonly version: string;
  readonly resources: readonly AnyResource[];
}

/**
 * Serves the provider protocol on a free loopback port until standard input closes, and prints the port on standard output.
 * An engine attaches to it through `PULUMI_DEBUG_PROVIDERS=<name>:<port>`.
 */
export async function serve(provider: ProviderDescription): Promise<void> {
  const server = new grpc.Server({
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
  });
  server.addService(ResourceProviderService, service(provider));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  process.stdout.write(`${port}\n`);
  // The parent holds the other end of standard input: when it dies, however it dies, this process goes too.
  process.stdin.on("end", () => process.exit(0)).resume();
}

/** A method of the protocol without gRPC's calling convention. */
function unary<Request, Response>(method: (request: Request) => Response | Promise<Response>) {
  return async (call: ServerUnaryCall<Request, Response>, reply: sendUnaryData<Response>) => {
    try {
      reply(null, await method(call.request));
    } catch (error) {
      const details = messageOf(error);
      reply({ code: grpc.status.UNKNOWN, details });
    }
  };
}

function service(provider: ProviderDescription): UntypedServiceImplementation {
  const engine = new Engine();
  const resources = new Map(provider.resources.map((resource) => [resource.type, resource]));

  function of(request: { getUrn(): string }): { resource: AnyResource; context: Context } {
    const urn = request.getUrn();
    // urn:pulumi:<stack>::<project>::<parent type$type>::<name>, and the name may hold "::" itself.
    const [, , types = "", ...name] = urn.split("::");
    const type = types.slice(types.lastIndexOf("$") + 1);
    const resource = resources.get(type);
    if (resource === undefined) {
      throw new Error(
        `the stand-in for the ${provider.name} provider has no resource type ${type}`,
      );
    }
    return {
      resource,
      context: { urn, name: name.join("::"), log: (...line) => engine.log(urn, ...line) },
    };
  }

  return {
    attach: unary((request: import("@pulumi/pulumi/proto/plugin_pb.js").PluginAttach) => {
      engine.attach(request.getAddress());
      return new Empty();
    }),
    cancel: unary(() => new Empty()),
    getPluginInfo: unary(() => new plugins.PluginInfo().setVersion(provider.version)),
    getSchema: unary(() => new providers.GetSchemaResponse().setSchema("{}")),
    getMapping: unary(() => new providers.GetMappingResponse()),
    getMappings: unary(() => new providers.GetMappingsResponse()),
    // A provider resource with any configuration is accepted: the stand-in takes its own from the environment.
    checkConfig: unary((request: Messages.CheckRequest) =>
      new providers.CheckResponse().setInputs(request.getNews()),
    ),
    diffConfig: unary(() =>
      new providers.DiffResponse().setChanges(providers.DiffResponse.DiffChanges.DIFF_UNKNOWN),
    ),
    configure: unary(() =>
      new providers.ConfigureResponse().setAcceptsecrets(true).setSupportspreview(true),
    ),
    invoke: unary((request: Messages.InvokeRequest) => {
      throw new Error(
        `the stand-in for the ${provider.name} provider has no function ${request.getTok()}`,
      );
    }),

    check: unary(async (request: Messages.CheckRequest) => {
      const { resource, context } = of(request);
      const news = propsOf(request.getNews());
      const response = new providers.CheckResponse();
      try {
        const checked = await (resource.check?.(unwrapProps(news), {
          ...context,
          olds: request.hasOlds() ? unwrapProps(propsOf(request.getOlds())) : undefined,
          randomSeed: request.getRandomseed_asU8(),
        }) ?? unwrapProps(news));
        response.setInputs(structOf(wrapProps(checked, secretsOf(resource, news))));
      } catch (error) {
        if (!(error instanceof CheckFailure)) throw error;
        const failure = new providers.CheckFailure();
        response.setFailuresList([failure.setProperty(error.property).setReason(error.message)]);
      }
      return response;
    }),

    diff: unary((request: Messages.DiffRequest) => {
      const { resource } = of(request);
      const found = differences(
        unwrapProps(propsOf(request.getOldInputs())),
        unwrapProps(propsOf(request.getNews())),
        resource.equal,
      );
      const response = new providers.DiffResponse().setHasdetaileddiff(true);
      const { DIFF_NONE, DIFF_SOME } = providers.DiffResponse.DiffChanges;
      const kinds = providers.PropertyDiff.Kind;
      for (const [path, change] of found) {
        if (isBelow(path, request.getIgnorechangesList())) continue;
        const root = rootOf(path);
        const replaces = resource.replacedBy.includes(root);
        const kind = {
          add: replaces ? kinds.ADD_REPLACE : kinds.ADD,
          delete: replaces ? kinds.DELETE_REPLACE : kinds.DELETE,
          update: replaces ? kinds.UPDATE_REPLACE : kinds.UPDATE,
        }[change];
        response
          .getDetaileddiffMap()
          .set(path, new providers.PropertyDiff().setKind(kind).setInputdiff(true));
        if (!response.getDiffsList().includes(root)) response.addDiffs(root);
        if (replaces && !response.getReplacesList().includes(root)) response.addReplaces(root);
      }
      const changed = response.getDiffsList().length > 0;
      return response.setChanges(changed ? DIFF_SOME : DIFF_NONE);
    }),

    create: unary(async (request: Messages.CreateRequest) => {
      const { resource, context } = of(request);
      const wrapped = propsOf(request.getProperties());
      const inputs = unwrapProps(wrapped);
      const response = new providers.CreateResponse();
      const made = request.getPreview()
        ? { id: "", outputs: unknowns(resource.computed) }
        : await resource.create(inputs as never, context);
      response.setId(made.id);
      return response.setProperties(stateOf(resource, wrapped, inputs, made.outputs));
    }),

    read: unary(async (request: Messages.ReadRequest) => {
      const { resource } = of(request);
      const [oldState, oldInputs] = [
        propsOf(request.getProperties()),
        propsOf(request.getInputs()),
      ];
      const state = unwrapProps(oldState);
      const response = new providers.ReadResponse();
      if (resource.read === undefined) {
        response.setId(request.getId()).setProperties(request.getProperties());
        return response.setInputs(request.getInputs());
      }
      const found = await resource.read(request.getId(), state);
      if (found === undefined) return response;
      const inputs = inputsAfterRead(resource, unwrapProps(oldInputs), found.inputs);
      const secrets = secretsOf(resource, oldState, oldInputs);
      response.setId(request.getId());
      response.setInputs(structOf(wrapProps(inputs, secrets)));
      const seen = { ...withoutUndefined(found.inputs), ...inputs };
      return response.setProperties(
        stateOf(resource, { ...oldState, ...oldInputs }, seen, found.outputs),
      );
    }),

    update: unary(async (request: Messages.UpdateRequest) => {
      const { resource, context } = of(request);
      const wrapped = propsOf(request.getNews());
      const [news, olds] = [unwrapProps(wrapped), unwrapProps(propsOf(request.getOlds()))];
      const kept = Object.fromEntries(
        resource.computed.flatMap((key) => (olds[key] === undefined ? [] : [[key, olds[key]]])),
      );
      const changed = request.getPreview()
        ? unknowns(resource.volatile ?? [])
        : await resource.update(request.getId(), news as never, olds, context);
      return new providers.UpdateResponse().setProperties(
        stateOf(resource, wrapped, news, { ...kept, ...changed }),
      );
    }),

    delete: unary(async (request: Messages.DeleteRequest) => {
      const { resource, context } = of(request);
      await resource.delete(
        request.getId(),
        unwrapProps(propsOf(request.getProperties())),
        context,
      );
      return new Empty();
    }),
  };
}
