internal import Wire

// A packet meets a base chain. Everything here is hot: flat arrays, registers on the stack, no
// allocation (but for the lines a `log` asks for).

/// How one rule ended.
private enum RuleEnd: BitwiseCopyable {
    /// A match failed, or nothing was decided: the next rule.
    case nothing
    case verdict(RuleVerdict)
    case reject(RejectKind)
    case map(translation: Int32)
}

/// What the rules of one visit to a base chain work with.
struct RuleContext {
    let tickRate: TickRate
    let now: Instant
    var registers = RegisterFile()
}

/// Where a called chain comes back to.
private struct ReturnPoint: BitwiseCopyable {
    var rule: Int32
    var end: Int32
}

extension RuleProgram {
    /// `Ruleset.evaluate`, apart from what changes.
    func evaluate(
        _ base: Int, _ packet: inout Packet, _ context: inout RuleContext, entry: Entry?,
        effects: inout RuleEffects, dice: inout Dice, state: inout RuleState
    ) -> RuleOutcome {
        var returns = InlineArray<16, ReturnPoint>(repeating: ReturnPoint(rule: 0, end: 0))
        var depth = 0
        var rule = chains[base].first
        var end = chains[base].end
        while true {
            guard rule < end else {
                guard depth > 0 else { break }
                depth -= 1
                rule = returns[depth].rule
                end = returns[depth].end
                continue
            }
            let asked = RuleReference(rule: rule, chain: Int32(base))
            let ended = run(
                rules[Int(rule)], &packet, &context, entry, &effects, &dice, &state)
            if effects.traces { effects.note(rule, ended) }
            rule += 1
            switch ended {
            case .nothing, .verdict(.continue): continue
            case .verdict(.accept): return .accept
            case .verdict(.drop): return .drop(asked)
            case .verdict(.return): rule = end
            case .verdict(.jump(let target)):
                // The loader has seen that no way through the chains is deeper than this.
                precondition(depth < returns.count, "jumps nest deeper than the loader allowed")
                returns[depth] = ReturnPoint(rule: rule, end: end)
                depth += 1
                rule = chains[Int(target)].first
                end = chains[Int(target)].end
            case .verdict(.goto(let target)):
                rule = chains[Int(target)].first
                end = chains[Int(target)].end
            case .reject(let kind):
                return .reject(kind.answer(packet.tuple.family), asked)
            case .map(let translation):
                return .map(translations[Int(translation)].target(context.registers), asked)
            }
        }
        let policy = RuleReference(rule: -1, chain: Int32(base))
        return chains[base].dropsByDefault ? .drop(policy) : .accept
    }

    /// Runs one rule's steps until one breaks it or decides.
    private func run(
        _ rule: Rule, _ packet: inout Packet, _ context: inout RuleContext, _ entry: Entry?,
        _ effects: inout RuleEffects, _ dice: inout Dice, _ state: inout RuleState
    ) -> RuleEnd {
        var next = Int(rule.first)
        while next < Int(rule.end) {
            let index = next
            next += 1
            switch instructions[index] {
            case .test(let field, let mask, let comparison, let value):
                guard let read = read(field, packet, entry, effects, context),
                    comparison.holds(read.low & mask, value)
                else { return .nothing }
            case .testInterface(let field, let mask, let isNegated):
                let index =
                    field == .inInterface
                    ? packet.inInterface : packet.outInterface
                guard interfaceMasks[Int(mask)].contains(index.raw) != isNegated else {
                    return .nothing
                }
            case .load(let field, let register):
                guard let read = read(field, packet, entry, effects, context) else {
                    return .nothing
                }
                context.registers[register] = read
            case .constant(let register, let constant):
                context.registers[register] = constants[Int(constant)]
            case .bitwise(let register, let constant):
                let (and, xor) = (constants[Int(constant)], constants[Int(constant) + 1])
                context.registers[register].change(and: and, xor: xor)
            case .exclusiveOr(let register, let other):
                let flipped = context.registers[other]
                context.registers[register].low ^= flipped.low
            case .shiftLeft(let register, let count, let bits):
                context.registers[register].shiftLeft(count, within: bits)
            case .shiftRight(let register, let count):
                context.registers[register].low >>= UInt64(count)
            case .compare(let register, let comparison, let constant):
                let wanted = constants[Int(constant)]
                guard comparison.holds(context.registers[register], wanted) else {
                    return .nothing
                }
            case .within(let register, let constant, let isNegated):
                let value = context.registers[register]
                let isWithin =
                    constants[Int(constant)] <= value && value <= constants[Int(constant) + 1]
                guard isWithin != isNegated else { return .nothing }
            case .member(let register, let table, let isNegated):
                let found = tables.find(Int(table), context.registers, at: register)
                guard (found != nil) != isNegated else { return .nothing }
            case .memberOfDynamic(let register, let set, let isNegated):
                let key = SetKey(context.registers, at: register, sets[Int(set)].fieldCount)
                guard state.holds(key, Int(set), context.now) != isNegated else {
                    return .nothing
                }
            case .updateSet(let register, let update):
                let update = updates[Int(update)]
                let set = sets[Int(update.set)]
                let key = SetKey(context.registers, at: register, set.fieldCount)
                guard state.enter(key, update, set, context.now) else { return .nothing }
            case .skipIfMember(let register, let table, let count):
                if tables.find(Int(table), context.registers, at: register) != nil {
                    next += Int(count)
                }
            case .skipWithoutConnection(let count):
                if packet.info.direction == nil { next += Int(count) }
            case .lookUp(let register, let table, let into):
                guard
                    tables.look(up: Int(table), &context.registers, at: register, into: into)
                else { return .nothing }
            case .verdictMap(let register, let table):
                guard let verdict = tables.verdict(Int(table), context.registers, at: register)
                else { return .nothing }
                if verdict != .continue { return .verdict(verdict) }
            case .numberGenerator(let register, let index):
                let next = state.generate(Int(index), generators[Int(index)], &dice)
                context.registers[register] = Address(next)
            case .hash(let register, let index):
                let seed = state.seed(Int(index), &dice)
                context.registers[register] = Address(
                    hashes[Int(index)].value(context.registers, seed: seed))
            case .counter(let index):
                state.count(Int(index), byteCount: packet.networkByteCount)
            case .limit(let index):
                guard state.passes(Int(index), limits[Int(index)], context.now) else {
                    return .nothing
                }
            case .log(let index): effects.logs.append(logs[Int(index)])
            case .notrack:
                // Without effect on a packet that has a connection (spec policy.md §5).
                if packet.info == .invalid || packet.info == .none && !packet.template.isAttached {
                    packet.info = .untracked
                }
            case .setPacketMark(let register):
                packet.mark = context.registers[register].ipv4
            case .setConnectionMark(let register):
                if packet.info.direction != nil {
                    effects.connectionMark = context.registers[register].ipv4
                }
            case .setZone(let register, let direction):
                let zone = UInt16(truncatingIfNeeded: context.registers[register].low)
                // The template takes the place of what `notrack` left there.
                if packet.template.attach(zone: zone, in: direction) { packet.info = .none }
            case .attachTemplate(let index):
                // Unlike nftables, it leaves alone what `notrack` has been at.
                if packet.info != .untracked, packet.template.attach(templates[Int(index)]) {
                    packet.info = .none
                }
            case .setLabel(let label):
                if packet.info.direction != nil { effects.add(LabelSet(label)) }
            case .setTimeoutPolicy(let index, let protocolNumber):
                if packet.info.direction != nil, packet.tuple.protocolNumber == protocolNumber {
                    effects.setTimeoutPolicy(index)
                }
            case .setHelper(let index):
                let definition = helpers[Int(index)]
                if packet.info.direction != nil,
                    packet.tuple.protocolNumber == definition.protocolNumber,
                    definition.family == nil || definition.family == packet.tuple.family
                {
                    effects.setHelper(definition.helper)
                }
            case .verdict(let verdict):
                if verdict != .continue { return .verdict(verdict) }
            case .reject(let kind): return .reject(kind)
            case .translate(let index):
                let family = translations[Int(index)].family
                guard family == nil || family == packet.tuple.family else { continue }
                return .map(translation: index)
            }
        }
        return .verdict(.continue)
    }

    @inline(__always)
    private func read(
        _ field: Field, _ packet: borrowing Packet, _ entry: Entry?,
        _ effects: borrowing RuleEffects, _ context: borrowing RuleContext
    ) -> Address? {
        guard field.needsEntry else {
            guard field.isAddressType else { return packet.value(of: field) }
            return Address(
                addressTypes.type(
                    of: field == .sourceType ? packet.tuple.source : packet.tuple.destination,
                    packet.tuple.family
                ).rawValue)
        }
        guard field != .stateAndTranslation else { return translatedState(packet, entry) }
        return entry?.value(of: field, effects, context.tickRate)
    }

    private func translatedState(_ packet: borrowing Packet, _ entry: Entry?) -> Address {
        var bits = UInt32(packet.stateBit)
        if let status = entry?.status {
            if status.contains(.sourceNAT) { bits |= 0x100 }
            if status.contains(.destinationNAT) { bits |= 0x200 }
        }
        return Address(bits)
    }
}

extension RuleEffects {
    /// Writes a rule down that matched.
    @inline(never)
    fileprivate mutating func note(_ rule: Int32, _ end: RuleEnd) {
        switch end {
        case .nothing: break
        case .verdict(let verdict):
            matches.append(RuleMatch(rule: rule, word: .verdict(verdict)))
        case .reject: matches.append(RuleMatch(rule: rule, word: .reject))
        case .map: matches.append(RuleMatch(rule: rule, word: .map))
        }
    }
}

extension Address {
    fileprivate mutating func change(and: Address, xor: Address) {
        high = high & and.high ^ xor.high
        low = low & and.low ^ xor.low
    }

    fileprivate mutating func shiftLeft(_ count: UInt8, within bits: UInt8) {
        low <<= UInt64(count)
        if bits < 64 { low &= (1 << UInt64(bits)) - 1 }
    }
}

extension Translation {
    /// The mapping, with what a map chose filled in.
    fileprivate func target(_ registers: borrowing RegisterFile) -> NATTarget {
        var range = range
        if let addressRegister {
            range.firstAddress = registers[addressRegister]
            range.lastAddress = range.firstAddress
            range.flags.insert(.addresses)
        }
        if let portRegister {
            range.firstPort = UInt16(truncatingIfNeeded: registers[portRegister].low)
            range.lastPort = range.firstPort
            range.flags.insert(.ports)
        }
        return switch kind {
        case .source: .source(range)
        case .destination: .destination(range)
        case .masquerade: .masquerade(range)
        case .redirect: .redirect(range)
        }
    }
}
