internal import Wire

/// The two ends of a flow as they appear on either side of the machine: what a client writes on its
/// packets and what the server writes on its own differ where an address is translated.
struct FlowPath: Sendable, Hashable {
    /// As the client's packets arrive.
    var client: Endpoint
    var service: Endpoint
    /// As the server's packets arrive.
    var server: Endpoint
    var returnAddress: Endpoint

    var family: Family { client.family }

    /// Without translation.
    init(_ client: Endpoint, _ service: Endpoint) {
        self.init(client, service, server: service, returnAddress: client)
    }

    init(_ client: Endpoint, _ service: Endpoint, server: Endpoint, returnAddress: Endpoint) {
        self.client = client
        self.service = service
        self.server = server
        self.returnAddress = returnAddress
    }

    /// Source and destination of a packet on arrival.
    func ends(fromClient: Bool) -> (source: Endpoint, destination: Endpoint) {
        fromClient ? (client, service) : (server, returnAddress)
    }

    /// Source and destination of the same packet once it has left the machine: what an error about
    /// it quotes.
    func endsBeyond(fromClient: Bool) -> (source: Endpoint, destination: Endpoint) {
        fromClient ? (returnAddress, server) : (service, client)
    }
}
