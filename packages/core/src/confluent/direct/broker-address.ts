/** Where a broker listens. */
export interface BrokerAddress {
  readonly id: number;
  readonly host: string;
  readonly port: number;
}
