{# The table of another model as the last build left it, for what must act before that model is built and so cannot ref it; none if
   there is no such table. Usage: {% set snapshots = held_relation('dataset_snapshots') %} #}
{% macro held_relation(model) -%}
    {%- if not execute -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set node = graph.nodes['model.' ~ project_name ~ '.' ~ model] -%}
    {{ return(adapter.get_relation(database = node.database, schema = node.schema, identifier = node.alias)) }}
{%- endmacro %}
