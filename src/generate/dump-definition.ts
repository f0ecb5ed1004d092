/** The index.yaml of a generated dump; its comments document the definition language by example. */

export const DUMP_DEFINITION_YAML = `# The index definition of a generated dump: what is indexed, and how CSV columns become fields.
name: images

# A filter field answers equality and set membership (one bitmap per value); a sort field answers ordering and ranges.
fields:
  nsfwLevel:  { type: uint32, index: filter }
  type:       { type: string, index: filter }
  userId:     { type: uint32, index: filter }
  postId:     { type: uint32, index: filter }
  blockedFor: { type: string, index: filter }
  hasMeta:    { type: boolean, index: filter }
  onSite:     { type: boolean, index: filter }
  minor:      { type: boolean, index: filter }
  poi:        { type: boolean, index: filter }
  existedAt:  { type: timestamp, index: sort }
  # A slot may hold several values of a \`many\` field.
  tagIds:     { type: uint32, index: filter, many: true }
  toolIds:    { type: uint32, index: filter, many: true }

tables:
  images:
    # With \`columns\` the file has no header line. Columns that no expression names are not decoded.
    csv:
      columns: [id, url, nsfwLevel, hash, flags, type, userId, blockedFor, scannedAtSecs, createdAtSecs, postId]
    slot: id
    # Rows of this table make slots alive; rows of the others only add to them.
    alive: true
    # field: expression over columns
    fields:
      nsfwLevel: nsfwLevel
      type: type
      userId: userId
      postId: postId
      blockedFor: blockedFor
      hasMeta: (flags >> 13 & 1) == 1 && (flags >> 2 & 1) == 0
      onSite: (flags >> 14 & 1) == 1
      minor: (flags >> 3 & 1) == 1
      poi: (flags >> 4 & 1) == 1
      # Null propagates through max, and one image in ten was never scanned: hence the coalesce.
      existedAt: max(coalesce(scannedAtSecs, 0), createdAtSecs)
  tags:
    csv: { columns: [tagId, imageId] }
    slot: imageId
    fields: { tagIds: tagId }
  tools:
    csv: { columns: [toolId, imageId] }
    slot: imageId
    fields: { toolIds: toolId }
`;
