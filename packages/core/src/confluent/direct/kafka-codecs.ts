/** Codecs of @platformatic/kafka, apart from `kafka-connection.ts`, so that the event loop turns between the two. */
export { compressionsAlgorithms, crc32c } from '@platformatic/kafka';
