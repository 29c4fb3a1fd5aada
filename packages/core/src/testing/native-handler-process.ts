// A handler for tests of inThreads() that loads the native client, which no thread may.
import clients from '@confluentinc/kafka-javascript';

export default function handle(): unknown {
  return clients.librdkafkaVersion;
}
