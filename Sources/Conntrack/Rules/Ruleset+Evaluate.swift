internal import Wire

// A packet meets a base chain. Everything here is hot: flat arrays, registers on the stack, no
// allocation (but for the lines a `log` asks for).

/// How a rule ended.
private enum RuleEnd {
    /// A match failed, or nothing was said: the next rule.
    case nothing
    case verdict(RuleVerdict)
    case outcome(RuleOutcome)
}

extension Ruleset {
    /// Asks one base chain about a packet.
    ///
    /// As in the kernel: rules from the first to the last, statements from left to right; the
    /// first that does not match breaks its rule, and those before it have acted. `jump` comes
    /// back behind its rule, `goto` to where the last `jump` stood; the end of the base chain is
    /// its policy.
    ///
    /// - Parameters:
    ///   - chain: `BaseChain.index`.
    ///   - entry: The packet's connection; asked for only where `BaseChain.readsEntry`.
    ///   - effects: What to do besides; what is in it already counts (a mark set by an earlier
    ///     chain).
    public mutating func evaluate(
        _ chain: Int, _ packet: inout Packet, entry: Entry?, effects: inout RuleEffects,
        dice: inout Dice, at now: Instant
    ) -> RuleOutcome {
        var returns = InlineArray<16, ReturnPoint>(repeating: ReturnPoint(rule: 0, end: 0))
        var depth = 0
        let base = program.chains[chain]
        var rule = base.first
        var end = base.end
        while true {
            guard rule < end else {
                guard depth > 0 else { break }
                depth -= 1
                rule = returns[depth].rule
                end = returns[depth].end
                continue
            }
            let asked = rule
            rule += 1
            switch run(
                Int(asked), base: Int32(chain), &packet, entry, &effects, &dice, now)
            {
            case .nothing, .verdict(.continue): continue
            case .outcome(let outcome): return outcome
            case .verdict(.accept): return .accept
            case .verdict(.drop):
                return .drop(RuleReference(rule: asked, chain: Int32(chain)))
            case .verdict(.return): rule = end
            case .verdict(.jump(let target)):
                // The loader has seen that no way through the chains is deeper than this.
                precondition(depth < returns.count, "jumps nest deeper than the loader allowed")
                returns[depth] = ReturnPoint(rule: rule, end: end)
                depth += 1
                rule = program.chains[Int(target)].first
                end = program.chains[Int(target)].end
            case .verdict(.goto(let target)):
                rule = program.chains[Int(target)].first
                end = program.chains[Int(target)].end
            }
        }
        return base.dropsByDefault ? .drop(RuleReference(rule: -1, chain: Int32(chain))) : .accept
    }

    private struct ReturnPoint: BitwiseCopyable {
        var rule: Int32
        var end: Int32
    }

    /// Runs one rule's steps until one breaks it or decides.
    private mutating func run(
        _ rule: Int, base: Int32, _ packet: inout Packet, _ entry: Entry?,
        _ effects: inout RuleEffects, _ dice: inout Dice, _ now: Instant
    ) -> RuleEnd {
        var registers = RegisterFile()
        let bounds = program.rules[rule]
        for index in Int(bounds.first)..<Int(bounds.end) {
            switch program.instructions[index] {
            case .test(let field, let mask, let comparison, let value):
                guard let read = read(field, packet, entry, effects),
                    comparison.holds(read.low & mask, value)
                else { return .nothing }
            case .testInterface(let field, let mask, let isNegated):
                let index = field == .inInterface ? packet.inInterface : packet.outInterface
                guard program.interfaceMasks[Int(mask)].contains(index.raw) != isNegated else {
                    return .nothing
                }
            case .load(let field, let register):
                guard let read = read(field, packet, entry, effects) else { return .nothing }
                registers[register] = read
            case .constant(let register, let constant):
                registers[register] = program.constants[Int(constant)]
            case .bitwise(let register, let constant):
                let and = program.constants[Int(constant)]
                let xor = program.constants[Int(constant) + 1]
                let value = registers[register].masked(by: and)
                registers[register] = Address(
                    high: value.high ^ xor.high, low: value.low ^ xor.low)
            case .shiftLeft(let register, let count, let bits):
                let shifted = registers[register].low << UInt64(count)
                let mask = bits >= 64 ? UInt64.max : (1 << UInt64(bits)) - 1
                registers[register] = Address(high: 0, low: shifted & mask)
            case .shiftRight(let register, let count):
                registers[register] = Address(
                    high: 0, low: registers[register].low >> UInt64(count))
            case .compare(let register, let comparison, let constant):
                guard comparison.holds(registers[register], program.constants[Int(constant)])
                else { return .nothing }
            case .within(let register, let constant, let isNegated):
                let value = registers[register]
                let isWithin =
                    program.constants[Int(constant)] <= value
                    && value <= program.constants[Int(constant) + 1]
                guard isWithin != isNegated else { return .nothing }
            case .member(let register, let table, let isNegated):
                let found = program.tables.find(
                    program.tables.tables[Int(table)], registers, at: register)
                guard (found != nil) != isNegated else { return .nothing }
            case .lookUp(let register, let table, let into):
                guard look(up: Int(table), &registers, at: register, into: into) else {
                    return .nothing
                }
            case .verdictMap(let register, let table):
                let map = program.tables.tables[Int(table)]
                guard let found = program.tables.find(map, registers, at: register) else {
                    return .nothing
                }
                let verdict = program.tables.verdicts[Int(map.firstDatum) + found]
                if verdict != .continue { return .verdict(verdict) }
            case .numberGenerator(let register, let generator):
                registers[register] = Address(
                    high: 0, low: UInt64(generate(Int(generator), &dice)))
            case .hash(let register, let hash):
                registers[register] = Address(
                    high: 0, low: UInt64(self.hash(Int(hash), registers, &dice)))
            case .counter(let counter):
                state.counters[Int(counter)].packets &+= 1
                state.counters[Int(counter)].bytes &+= UInt64(packet.networkByteCount)
            case .limit(let limit):
                guard passes(Int(limit), now) else { return .nothing }
            case .log(let log): effects.logs.append(program.logs[Int(log)])
            case .notrack:
                if packet.info == .none || packet.info == .invalid { packet.info = .untracked }
            case .setPacketMark(let register):
                packet.mark = UInt32(truncatingIfNeeded: registers[register].low)
            case .setConnectionMark(let register):
                if packet.info.direction != nil {
                    effects.connectionMark = UInt32(truncatingIfNeeded: registers[register].low)
                }
            case .verdict(let verdict):
                if verdict != .continue { return .verdict(verdict) }
            case .reject(let kind):
                let reference = RuleReference(rule: Int32(rule), chain: base)
                return .outcome(.reject(kind.answer(packet.tuple.family), reference))
            case .translate(let index):
                let translation = program.translations[Int(index)]
                if let family = translation.family, family != packet.tuple.family { continue }
                let reference = RuleReference(rule: Int32(rule), chain: base)
                return .outcome(.map(translation.target(registers), reference))
            }
        }
        return .nothing
    }

    private func read(
        _ field: Field, _ packet: borrowing Packet, _ entry: Entry?,
        _ effects: borrowing RuleEffects
    ) -> Address? {
        guard field.needsEntry else { return packet.value(of: field) }
        return entry?.value(of: field, newMark: effects.connectionMark, tickRate)
    }

    private func look(
        up table: Int, _ registers: inout RegisterFile, at register: Register,
        into target: Register
    ) -> Bool {
        let map = program.tables.tables[table]
        guard let found = program.tables.find(map, registers, at: register) else { return false }
        let width = Int(map.datumFieldCount)
        for field in 0..<width {
            registers[target + Register(truncatingIfNeeded: field)] =
                program.tables.data[Int(map.firstDatum) + found * width + field]
        }
        return true
    }

    /// The next number of a `numgen`.
    private mutating func generate(_ index: Int, _ dice: inout Dice) -> UInt32 {
        let generator = program.generators[index]
        guard !generator.isRandom else {
            return dice.below(generator.modulus) &+ generator.offset
        }
        let next = state.generated[index] &+ 1
        state.generated[index] = next < generator.modulus ? next : 0
        return state.generated[index] &+ generator.offset
    }

    private mutating func hash(
        _ index: Int, _ registers: borrowing RegisterFile, _ dice: inout Dice
    ) -> UInt32 {
        let expression = program.hashes[index]
        let seed: UInt32
        if let known = state.seeds[index] {
            seed = known
        } else {
            seed = UInt32(truncatingIfNeeded: dice.next() >> 32)
            state.seeds[index] = seed
        }
        let hash = JenkinsHash.bytes(
            expression.words(registers), byteCount: expression.byteCount, initial: seed)
        let scaled = UInt64(hash) * UInt64(expression.modulus) >> 32
        return UInt32(truncatingIfNeeded: scaled) &+ expression.offset
    }

    /// Takes a packet's cost out of the bucket; a packet the bucket cannot pay for is over the
    /// limit.
    private mutating func passes(_ index: Int, _ now: Instant) -> Bool {
        let limit = program.limits[index]
        var bucket = state.buckets[index]
        if let last = bucket.last, now > last {
            let sum = bucket.tokens.addingReportingOverflow((now - last).nanoseconds.magnitude)
            bucket.tokens = sum.overflow ? limit.maximum : min(limit.maximum, sum.partialValue)
        }
        bucket.last = now
        let pays = bucket.tokens >= limit.cost
        if pays { bucket.tokens -= limit.cost }
        state.buckets[index] = bucket
        return pays != limit.isOver
    }
}

extension HashExpression {
    /// The key as the kernel's registers hold it, read as little-endian words.
    func words(_ registers: borrowing RegisterFile) -> JenkinsHash.InlineWords {
        var words = JenkinsHash.InlineWords()
        var count = 0
        for (offset, part) in parts.enumerated() {
            let value = registers[firstRegister + Register(truncatingIfNeeded: offset)]
            switch part.byteCount {
            case 16:
                let (first, second, third, fourth) = value.words
                words[count] = first.byteSwapped
                words[count + 1] = second.byteSwapped
                words[count + 2] = third.byteSwapped
                words[count + 3] = fourth.byteSwapped
                count += 4
            case 8:
                words[count] = UInt32(truncatingIfNeeded: value.low)
                words[count + 1] = UInt32(truncatingIfNeeded: value.low >> 32)
                count += 2
            default:
                let low = value.ipv4
                words[count] =
                    !part.isNetworkOrder
                    ? low : low.byteSwapped >> UInt32(32 - 8 * Int(part.byteCount))
                count += 1
            }
        }
        return words
    }
}

extension Translation {
    /// The mapping, with what a map chose filled in.
    func target(_ registers: borrowing RegisterFile) -> NATTarget {
        var range = range
        if let addressRegister {
            range.firstAddress = registers[addressRegister]
            range.lastAddress = registers[addressRegister]
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
