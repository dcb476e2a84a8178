// The storage contract from @grpc/grpc-js: calls, error details, a deadline, concurrent calls, the health service, and a client made by reflection.
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
// A client of a service that is known by its name only.
const reflect = async service => {
  const stream = new (load('reflection.proto').grpc.reflection.v1.ServerReflection)(target, grpc.credentials.createInsecure(), options).ServerReflectionInfo();
  const replies = [];
  stream.on('data', reply => replies.push(reply));
  stream.write({ list_services: '' });
  stream.write({ file_containing_symbol: 'nobody' });
  stream.write({ file_containing_symbol: service });
  stream.end();
  await new Promise((resolve, reject) => stream.on('end', resolve).on('error', reject));
  assert.ok(replies[0].list_services_response.service.some(known => known.name === service));
  assert.strictEqual(replies[1].error_response.error_code, grpc.status.NOT_FOUND);
  const set = replies[2].file_descriptor_response.file_descriptor_proto.map(file => {
    const length = [];
    for (let rest = file.length; ; rest >>>= 7) {
      length.push(rest < 128 ? rest : (rest & 127) | 128);
      if (rest < 128) break;
    }
    return Buffer.concat([Buffer.from([10, ...length]), file]);           // Field 1 of a FileDescriptorSet.
  });
  const found = loader.loadFileDescriptorSetFromBuffer(Buffer.concat(set), { keepCase: true, longs: Number, enums: String, defaults: true });
  const Client = service.split('.').reduce((scope, name) => scope[name], grpc.loadPackageDefinition(found));
  return new Client(target, grpc.credentials.createInsecure(), options);
};
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
  assert.strictEqual((await call(await reflect('storage.Storage'), 'GetServerConfig', {})).chunk_size, 2 << 20);
  console.log('node passed');
  process.exit(0);
})().catch(error => { console.error(error); process.exit(1); });
