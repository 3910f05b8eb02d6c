{# A hash of the SQL of some models of this project, whatever their comments, spaces and line ends. Macros that it calls are not in it.
   Usage: '{{ sql_hash(['dataset_candidates', 'observed_objects']) }}' #}
{% macro sql_hash(models) -%}
    {%- set comments = modules.re.compile('[{]#.*?#[}]|--[^\\n]*', modules.re.DOTALL) -%}
    {%- set texts = [] -%}
    {%- for model in models if graph.get('nodes') -%}
        {%- set written = graph.nodes['model.' ~ project_name ~ '.' ~ model].raw_code -%}
        {%- do texts.append(comments.sub(' ', written).split() | join(' ')) -%}
    {%- endfor -%}
    {{ return(local_md5(texts | join('\n'))) }}
{%- endmacro %}
