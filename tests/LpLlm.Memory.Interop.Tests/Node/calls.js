// The storage contract from @grpc/grpc-js: calls, error details, a deadline, concurrent calls, and the health service.
const assert = require('assert');
const fs = require('fs');
const path = require('path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [target, protos] = process.argv.slice(2);
const load = name => grpc.loadPackageDefinition(
  loader.loadSync(path.join(protos, name), { keepCase: true, longs: Number, enums: String, defaults: true }));
const options = target.startsWith('unix:') ? { 'grpc.default_authority': 'localhost' } : {};
const storage = new (load('storage.proto').storage.Storage)(target, grpc.credentials.createInsecure(), options);
const health = new (load('health.proto').grpc.health.v1.Health)(target, grpc.credentials.createInsecure(), options);
const call = (client, method, request, more = {}) => new Promise((resolve, reject) =>
  client[method](request, more, (error, reply) => (error ? reject(error) : resolve(reply))));
const refused = async (promise, code, text) => {
  const error = await promise.then(() => { throw new Error('not refused'); }, e => e);
  assert.strictEqual(error.code, code, error.message);
  assert.ok(error.details.includes(text), error.details);
};

(async () => {
  assert.strictEqual((await call(health, 'Check', { service: 'storage.Storage' })).status, 'SERVING');
  const lease = await call(storage, 'AllocatePoolMemory', { client_id: 'node', size_mb: 4 });
  assert.strictEqual(lease.size_bytes, 4 << 20);
  const chunk = await call(storage, 'AllocateFromPool', { client_id: 'node', size_kb: 4096 });
  assert.deepStrictEqual(chunk.chunk_indices, [0, 1]);
  await call(storage, 'CopyToPool', { client_id: 'node', allocation_id: chunk.allocation_id, chunk_offset: (2 << 20) - 2, data: Buffer.from('node') });
  const file = fs.openSync(lease.shared_memory_path, 'r+');
  const bytes = Buffer.alloc(4);
  fs.readSync(file, bytes, 0, 4, (2 << 20) - 2);
  assert.strictEqual(bytes.toString(), 'node');
  const back = await call(storage, 'CopyFromPool', { client_id: 'node', allocation_id: chunk.allocation_id, chunk_offset: (2 << 20) - 2, size: 4 });
  assert.strictEqual(back.data.toString(), 'node');
  await refused(call(storage, 'AllocatePoolMemory', { client_id: 'x', size_mb: -1 }), grpc.status.INVALID_ARGUMENT, 'size_mb is -1');
  await refused(call(storage, 'AllocatePoolMemory', { client_id: 'x', size_mb: 1000 }), grpc.status.RESOURCE_EXHAUSTED, 'CapacityBytes');
  await refused(call(storage, 'ConfirmModel', { model_path: 'm' }), grpc.status.UNIMPLEMENTED, 'model store');
  await refused(call(storage, 'GetServerConfig', {}, { deadline: Date.now() - 1 }), grpc.status.DEADLINE_EXCEEDED, '');
  const configs = await Promise.all(Array.from({ length: 50 }, () => call(storage, 'GetServerConfig', {})));
  assert.ok(configs.every(config => config.chunk_size === 2 << 20));
  assert.strictEqual((await call(storage, 'FreePoolMemory', { client_id: 'node' })).success, true);
  assert.strictEqual((await call(storage, 'FreePoolMemory', { client_id: 'node' })).success, false);
  console.log('node passed');
  process.exit(0);
})().catch(error => { console.error(error); process.exit(1); });
