internal import Wire

// kube-proxy's nftables mode: two maps from address and port to a service's chain, one numgen
// verdict map a service, one chain an endpoint.

extension ServiceRules {
    /// The table of one family.
    func nftables(_ family: Family) -> String {
        let network = family == .ipv4 ? "ip" : "ip6"
        let type = family == .ipv4 ? "ipv4_addr" : "ipv6_addr"
        let all = services.filter { $0.family == family }
        var text = "table \(network) kube-proxy {\n\tcomment \"rules for kube-proxy\"\n\n"
        text += sets(all, type, family)
        text += Self.fixedChains(network)
        for service in all where !service.endpoints.isEmpty {
            text += chains(of: service, network)
        }
        return text + "}\n"
    }

    private func sets(
        _ all: [ServiceDescription], _ type: String, _ family: Family
    ) -> String {
        let addresses = all.map { $0.address.text(family) }
        let nodes = nodeAddresses.filter { $0.family == family }.map { $0.address.text(family) }
        let served = all.filter { !$0.endpoints.isEmpty }
        let unserved = all.filter(\.endpoints.isEmpty)
        let port = "inet_proto . inet_service : verdict"
        func key(_ service: ServiceDescription) -> String {
            "\(service.address.text(family)) . \(service.transport.rawValue) . \(service.port)"
        }
        func nodePorts(
            _ services: [ServiceDescription], _ verdict: (ServiceDescription) -> String
        ) -> [String] {
            services.compactMap { service in
                service.nodePort.map {
                    "\(service.transport.rawValue) . \($0) : \(verdict(service))"
                }
            }
        }
        var text = Self.set(
            "set", "cluster-ips", type, "Active ClusterIPs", Self.unique(addresses))
        text += Self.set("set", "nodeport-ips", type, "IPs that accept NodePort traffic", nodes)
        text += Self.set(
            "map", "no-endpoint-services", "\(type) . \(port)",
            "vmap to drop or reject packets to services with no endpoints",
            unserved.map { "\(key($0)) : goto reject-chain" })
        text += Self.set(
            "map", "no-endpoint-nodeports", port,
            "vmap to drop or reject packets to service nodeports with no endpoints",
            nodePorts(unserved) { _ in "goto reject-chain" })
        text += Self.set(
            "map", "service-ips", "\(type) . \(port)", "ClusterIP and port traffic",
            served.map { "\(key($0)) : goto \($0.chainName)" })
        text += Self.set(
            "map", "service-nodeports", port, "NodePort traffic",
            nodePorts(served) { "goto \($0.externalChainName)" })
        for service in all {
            guard case .clientIP(let seconds) = service.affinity else { continue }
            for endpoint in service.endpoints {
                text += "\tset \(service.affinityName(endpoint)) {\n\t\ttype \(type)\n"
                text += "\t\tflags dynamic,timeout\n\t\ttimeout \(seconds)s\n\t}\n\n"
            }
        }
        return text
    }

    private static func unique(_ words: [String]) -> [String] {
        var seen: Set<String> = []
        return words.filter { seen.insert($0).inserted }
    }

    private static func set(
        _ kind: String, _ name: String, _ type: String, _ comment: String, _ elements: [String]
    ) -> String {
        var text = "\t\(kind) \(name) {\n\t\ttype \(type)\n\t\tcomment \"\(comment)\"\n"
        if !elements.isEmpty {
            text += "\t\telements = { " + elements.joined(separator: ",\n\t\t\t     ") + " }\n"
        }
        return text + "\t}\n\n"
    }

    /// What every node has, whatever its services.
    private static func fixedChains(_ network: String) -> String {
        """
        \tchain filter-input {
        \t\ttype filter hook input priority -110; policy accept;
        \t\tct state new jump nodeport-endpoints-check
        \t\tct state new jump service-endpoints-check
        \t}

        \tchain filter-forward {
        \t\ttype filter hook forward priority -110; policy accept;
        \t\tct state new jump service-endpoints-check
        \t\tct state new jump cluster-ips-check
        \t}

        \tchain filter-output {
        \t\ttype filter hook output priority -110; policy accept;
        \t\tct state new jump service-endpoints-check
        \t}

        \tchain filter-output-post-dnat {
        \t\ttype filter hook output priority -90; policy accept;
        \t\tct state new jump cluster-ips-check
        \t}

        \tchain nat-prerouting {
        \t\ttype nat hook prerouting priority dstnat; policy accept;
        \t\tjump services
        \t}

        \tchain nat-output {
        \t\ttype nat hook output priority -100; policy accept;
        \t\tjump services
        \t}

        \tchain nat-postrouting {
        \t\ttype nat hook postrouting priority srcnat; policy accept;
        \t\tjump masquerading
        \t}

        \tchain cluster-ips-check {
        \t\t\(network) daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"
        \t}

        \tchain mark-for-masquerade {
        \t\tmeta mark set mark or 0x4000
        \t}

        \tchain masquerading {
        \t\tmeta mark & 0x4000 == 0 return
        \t\tmeta mark set mark xor 0x4000
        \t\tmasquerade fully-random
        \t}

        \tchain nodeport-endpoints-check {
        \t\t\(network) daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports
        \t}

        \tchain reject-chain {
        \t\treject
        \t}

        \tchain service-endpoints-check {
        \t\t\(network) daddr . meta l4proto . th dport vmap @no-endpoint-services
        \t}

        \tchain services {
        \t\t\(network) daddr . meta l4proto . th dport vmap @service-ips
        \t\t\(network) daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
        \t}


        """
    }

    private func chains(of service: ServiceDescription, _ network: String) -> String {
        let address = service.address.text(service.family)
        let transport = service.transport.rawValue
        let keepsClients = service.affinity != .none
        var text = ""
        if service.nodePort != nil {
            text += "\tchain \(service.externalChainName) {\n\t\tjump mark-for-masquerade\n"
            text += "\t\tgoto \(service.chainName)\n\t}\n\n"
        }
        text += "\tchain \(service.chainName) {\n"
        let match = "\(network) daddr \(address) \(transport) dport \(service.port)"
        if masqueradesAll {
            text += "\t\t\(match) jump mark-for-masquerade\n"
        } else if let pods = clusterPrefix(service.family) {
            text += "\t\t\(match) \(network) saddr != \(pods) jump mark-for-masquerade\n"
        }
        if keepsClients {
            for endpoint in service.endpoints {
                text += "\t\t\(network) saddr @\(service.affinityName(endpoint)) goto "
                text += "\(service.chainName(endpoint))\n"
            }
        }
        let choices = service.endpoints.enumerated().map {
            "\($0) : goto \(service.chainName($1))"
        }
        text += "\t\tnumgen random mod \(choices.count) vmap { "
        text += choices.joined(separator: ", ") + " }\n\t}\n\n"
        for endpoint in service.endpoints {
            text += "\tchain \(service.chainName(endpoint)) {\n"
            text += "\t\t\(network) saddr \(endpoint.address.text(service.family)) "
            text += "jump mark-for-masquerade\n"
            if keepsClients {
                text += "\t\tupdate @\(service.affinityName(endpoint)) { \(network) saddr }\n"
            }
            text += "\t\tmeta l4proto \(transport) dnat to \(service.text(endpoint))\n\t}\n\n"
        }
        return text
    }
}

extension ServiceDescription {
    /// A name that begins with its own hash: short and unique wherever it is cut.
    private static func hashed(_ name: String) -> String {
        let full = "\(ServiceRules.hash(name, letters: 8))-\(name)"
        let limit = 230
        return full.utf8.count > limit ? full.prefix(limit - 3) + "..." : full
    }

    private func path(_ endpoint: Endpoint) -> String {
        // An IPv6 address has colons, which no name may have.
        let address = endpoint.address.text(family).map { $0 == ":" ? "." : $0 }
        return "\(path)__\(String(address))/\(endpoint.port)"
    }

    fileprivate var chainName: String { "service-" + Self.hashed(path) }
    fileprivate var externalChainName: String { "external-" + Self.hashed(path) }
    fileprivate func chainName(_ endpoint: Endpoint) -> String {
        "endpoint-" + Self.hashed(path(endpoint))
    }
    fileprivate func affinityName(_ endpoint: Endpoint) -> String {
        "affinity-" + Self.hashed(path(endpoint))
    }
}
