import { describe, expect, it } from 'vitest';
import { sampleWorkload, slice } from '#core/cluster/sample-cluster';
import { LeadershipLost } from '../app/ports.ts';
import { auditEntry, batch, OpenedStore, put } from '../testing/opened-store.ts';

const workload = sampleWorkload(1, slice('3g.40gb'));

describe('the lead', () => {
  it('is of the controller that opened the store last', () => {
    using opened = new OpenedStore();
    const first = opened.store;
    const second = opened.reopen();

    expect(second.epoch).toBe(first.epoch + 1);
    expect(() => first.commit(batch([put(workload)], { audit: [auditEntry('a')] }))).toThrow(LeadershipLost);

    expect(second.load().workloads).toEqual([]);
    expect(opened.raw((database) => database.prepare('SELECT count(*) FROM audit').pluck().get())).toBe(0);
    second.commit(batch([put(workload)]));
    expect(second.load().workloads).toEqual([workload]);
  });

  it('lets the writable check pass', () => {
    using opened = new OpenedStore();

    expect(() => opened.store.verifyWritable()).not.toThrow();
  });

  it('does not go to a version that does not know the schema', () => {
    using opened = new OpenedStore();
    opened.raw((database) => database.pragma('user_version = 99'));

    expect(() => opened.reopen()).toThrow(
      /astrago\.db was written by a later version \(schema 99, this one knows \d+\); start that version/,
    );

    expect(opened.raw((database) => database.prepare('SELECT epoch FROM lease').pluck().get())).toBe(1);
  });
});

describe('the audit log', () => {
  function told(): OpenedStore {
    const opened = new OpenedStore();
    opened.store.commit(batch([], { audit: [auditEntry('a'), auditEntry('b')] }));
    opened.reopen().commit(batch([], { audit: [auditEntry('c')] }));
    return opened;
  }

  it('is one chain, from one controller to the next', () => {
    using opened = told();

    expect(opened.store.firstBrokenAuditRow()).toBeUndefined();
  });

  it.each(["UPDATE audit SET actor = 'nobody'", 'DELETE FROM audit'])('refuses %s', (sql) => {
    using opened = told();

    expect(() => opened.raw((database) => database.prepare(sql).run())).toThrow('the audit log is append-only');
  });

  it.each([
    ["UPDATE audit SET actor = 'nobody' WHERE subject = 'b'", 2],
    ["UPDATE audit SET at_ms = at_ms + 1 WHERE subject = 'a'", 1],
    ["DELETE FROM audit WHERE subject = 'b'", 3],
  ])('shows that someone went around the triggers with %s', (sql, sequence) => {
    using opened = told();
    opened.raw((database) => database.exec(`DROP TRIGGER audit_is_append_only; DROP TRIGGER audit_is_kept; ${sql}`));

    expect(opened.store.firstBrokenAuditRow()).toBe(sequence);
  });
});
