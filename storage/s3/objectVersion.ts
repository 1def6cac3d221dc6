import type { ObjectStore } from "./objectStore.ts";

/** The same bucket, but one object of it is read as it was in a version that is no longer the newest. */
export function atVersion(store: ObjectStore, key: string, version: string): ObjectStore {
  return {
    address: store.address,
    list: (prefix) => store.list(prefix),
    head: (other) => store.head(other),
    versions: (other) => store.versions(other),
    get: (other, wanted) => store.get(other, other === key ? (wanted ?? version) : wanted),
    getRange: (other, range) =>
      store.getRange(other, other === key ? { version, ...range } : range),
    putNew: (...args) => store.putNew(...args),
    startUpload: (...args) => store.startUpload(...args),
    listUploads: (prefix) => store.listUploads(prefix),
    abortUpload: (upload) => store.abortUpload(upload),
    delete: (other) => store.delete(other),
    serviceTime: () => store.serviceTime(),
  };
}
