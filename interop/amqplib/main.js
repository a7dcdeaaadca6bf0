// The scenarios with amqplib. Prints a line for each; arguments limit the run to the scenarios they name.
import { connections } from './connections.js';
import { report } from './harness.js';
import { messages } from './messages.js';

await report({ ...messages, ...connections }, {
  'error-540': 'recover always asks for requeue',
  tx: 'no transactions in its interface',
});
