/** Storages on which something goes wrong. */
import { CommitError } from '../../../src/commit/commit-error.ts';
import type { CommitStorage } from '../../../src/commit/commit-storage.ts';

/** Every call goes to `storage` but those in `changes`. */
export function decorate(storage: CommitStorage, changes: Partial<CommitStorage>): CommitStorage {
  return new Proxy(storage, {
    get(target, name) {
      const method = Reflect.get(changes, name) ?? Reflect.get(target, name);
      return typeof method === 'function' ? method.bind(name in changes ? changes : target) : method;
    },
  });
}

/** Notifications are lost before they are sent, doorbells too. */
export function withoutNotifications(storage: CommitStorage): CommitStorage {
  return decorate(storage, {
    enqueue: (requests) => storage.enqueue(requests, false),
    notify: async () => {},
  });
}

/** Does what is asked, then loses the answer. */
export function lostAnswer(): CommitError {
  return new CommitError('DATABASE_UNREACHABLE', 'the connection was lost before the answer', {
    details: { wasSent: true },
  });
}
